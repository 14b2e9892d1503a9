"""Who may use which page: host, sign-in, permission, and that a form is one of ours.

A room of the console is a `Console` router; each of its routes says who may use it, or it cannot be made.
"""

from pigeonry.domain.operator import Permission
from pigeonry.web.auth.forms import Form
from pigeonry.web.auth.routes import ANYONE, Console, Nav
from pigeonry.web.auth.visit import TheVisit, Visit

VIEW, EDIT, SEND = Permission.VIEW, Permission.EDIT, Permission.SEND
PRIVACY, ADMIN = Permission.PRIVACY, Permission.ADMIN

__all__ = [
    "ADMIN",
    "ANYONE",
    "EDIT",
    "PRIVACY",
    "SEND",
    "VIEW",
    "Console",
    "Form",
    "Nav",
    "TheVisit",
    "Visit",
]
