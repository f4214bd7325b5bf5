"""Steps of a study between raw images and the template: files in, files out.

Each is an object with ``run(inputs, settings) -> Product``; the study does it
once for all scans that need the same, and gives its files to the step after it.
"""
