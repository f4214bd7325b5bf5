"""Registration: backends behind one interface; our own needs nothing beyond the core."""

from ekbom.space.register.base import Kind, Registrar, Registration, backend, backends

__all__ = ["Kind", "Registrar", "Registration", "backend", "backends"]
