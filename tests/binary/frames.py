"""Frames of memcached's binary protocol: made for a server, and read from one."""
import re
import struct

REQUEST, REPLY = 0x80, 0x81
HEAD = struct.Struct(">BBHBBHIIQ")
NO_CREATE = 0xffffffff

GET, SET, ADD, REPLACE, DELETE, INCREMENT, DECREMENT, QUIT, FLUSH, GETQ, NOOP, VERSION, GETK, GETKQ, APPEND, PREPEND, STAT = range(0x11)
SETQ, ADDQ, REPLACEQ, DELETEQ, INCREMENTQ, DECREMENTQ, QUITQ, FLUSHQ, APPENDQ, PREPENDQ = range(0x11, 0x1b)
TOUCH, GAT, GATQ = 0x1c, 0x1d, 0x1e
SASL_LIST, SASL_AUTH, SASL_STEP, GATK, GATKQ = range(0x20, 0x25)


def frame(opcode, key=b"", extras=b"", value=b"", cas=0, opaque=0xdecafbad, *, magic=REQUEST, key_size=None,
          extras_size=None, body_size=None, data_type=0, reserved=0):
    """A request; the sizes may be made to lie."""
    head = HEAD.pack(magic, opcode, len(key) if key_size is None else key_size,
                     len(extras) if extras_size is None else extras_size, data_type, reserved,
                     len(key) + len(extras) + len(value) if body_size is None else body_size, opaque, cas)
    return head + extras + key + value


def store(opcode, key, value, flags=0, expiry=0, cas=0, opaque=0xdecafbad):
    return frame(opcode, key, struct.pack(">II", flags, expiry), value, cas, opaque)


def delta(opcode, key, amount=1, initial=0, expiry=NO_CREATE, cas=0, opaque=0xdecafbad):
    return frame(opcode, key, struct.pack(">QQI", amount, initial, expiry), b"", cas, opaque)


def touch(opcode, key, expiry=0, opaque=0xdecafbad):
    return frame(opcode, key, struct.pack(">I", expiry), opaque=opaque)


class Reply:
    """One reply frame."""

    def __init__(self, head, body):
        (self.magic, self.opcode, self.key_size, self.extras_size, self.data_type, self.status, self.body_size, self.opaque,
         self.cas) = HEAD.unpack(head)
        self.extras, rest = body[:self.extras_size], body[self.extras_size:]
        self.key, self.value = rest[:self.key_size], rest[self.key_size:]

    def text(self, cas):
        """All of it on a line; `cas` stands for the CAS, which no two servers share."""
        value = self.value if self.opcode != VERSION or self.status else re.sub(rb"^1\.6\.\d.*", b"the version", self.value)
        value = value if len(value) < 200 else b"%d bytes, sum %d" % (len(value), sum(value))
        return (f"magic {self.magic:#x} opcode {self.opcode:#04x} status {self.status:#06x} type {self.data_type} "
                f"opaque {self.opaque:#010x} cas {cas} extras {self.extras.hex()} key {self.key!r} value {value!r}")
