"""What a client's checks are written with: a registry, unique keys, and three assertions."""
import itertools
import os
import traceback

_counter = itertools.count()
# Seconds to live where something is done to the item before they are over, and how long to wait until they are; the
# programs in other languages have the same. Long, so that a slow machine fails no check.
BRIEF_S, UNTIL_GONE_S = 3, 4.1


class Target:
    """The server that a check talks to; in the matrix also the others that it can have.

    servers: three addresses on IPv4, the first of them `address`; servers6: the same three on IPv6; dead: an address at
    which nobody listens; path: the Unix socket of one more server.
    """

    def __init__(self, host, port, protocol="text"):
        self.host, self.port, self.protocol = host, port, protocol
        self.address = f"{host}:{port}"
        self.servers, self.servers6, self.dead, self.path = [self.address], [], None, None

    @classmethod
    def from_environment(cls):
        """The target of a program that the matrix has started."""
        servers = os.environ["MATRIX_SERVERS"].split(",")
        host, port = servers[0].rsplit(":", 1)
        target = cls(host, int(port), os.environ["MATRIX_PROTOCOL"])
        target.servers, target.servers6 = servers, os.environ["MATRIX_SERVERS6"].split(",")
        target.dead, target.path = os.environ["MATRIX_DEAD"], os.environ["MATRIX_PATH"]
        return target

    @staticmethod
    def key(word="key"):
        """A key that no other check uses."""
        return f"{word}-{next(_counter)}"


class Differs(Exception):
    """The client wants what memcached itself no longer does; the check has made sure that we do as memcached does."""


class Suite:
    """The checks of one client library, in the order in which they are written."""

    def __init__(self, name):
        self.name, self.checks = name, []

    def check(self, function):
        """Decorator: registers function(target) under its name."""
        self.checks.append(function)
        return function

    def run(self, target):
        """[(name, None, what went wrong or Differs), ...] against one server."""
        return [(check.__name__, outcome(check, target)) for check in self.checks]


def outcome(check, target):
    """None, or what went wrong as text, or the Differs that the check raised."""
    try:
        check(target)
        return None
    except Differs as difference:
        return difference
    except Exception as error:  # pylint: disable=broad-except
        where = traceback.extract_tb(error.__traceback__)[1:2]
        line = f"{where[0].filename.rsplit('/', 1)[-1]}:{where[0].lineno}: {where[0].line}" if where else ""
        return f"{type(error).__name__}: {error} ({line})"


def equal(got, wanted):
    """Fails unless the two are equal."""
    if got != wanted:
        raise AssertionError(f"got {str(got)[:200]!r}, wanted {str(wanted)[:200]!r}")


def true(value):
    """Fails unless the value counts as true."""
    if not value:
        raise AssertionError(f"got {value!r}")


def raises(kind, function, *arguments, **named):
    """Fails unless the call raises an exception of that kind; returns it."""
    try:
        got = function(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}, but {got!r}")
