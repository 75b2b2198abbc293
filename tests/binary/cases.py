"""Every opcode and every malformed frame, as conversations that both servers must have in the same bytes.

A case is a function of a Talk; its name says what it shows. `options` are both servers'; a case with `expected` is told what
memcached 1.6.45 does where the installed one is older, as (status, closed), and is played to Vitrine alone.
"""
import struct

import frames
from frames import (ADD, ADDQ, APPEND, APPENDQ, DECREMENT, DECREMENTQ, DELETE, DELETEQ, FLUSH, FLUSHQ, GAT, GATK, GATKQ, GATQ, GET,
                    GETK, GETKQ, GETQ, INCREMENT, INCREMENTQ, NOOP, PREPEND, PREPENDQ, QUIT, QUITQ, REPLACE, REPLACEQ, SASL_AUTH,
                    SASL_LIST, SASL_STEP, SET, SETQ, STAT, TOUCH, VERSION, delta, frame, store, touch)

CASES = []
KNOWN = sorted(value for name, value in vars(frames).items() if name.isupper() and isinstance(value, int) and name not in
               ("REQUEST", "REPLY", "NO_CREATE"))
WITH_EXPIRY = struct.pack(">I", 0)


SASL = "-S"  # play.py gives such servers their user
USER, PASSWORD = b"user", b"secret"
LOGIN = b"\0" + USER + b"\0" + PASSWORD


class Case:
    def __init__(self, function, options, counted, expected):
        self.name, self.function, self.options, self.counted, self.expected = function.__name__, function, options, counted, expected


def case(*options, counted=True, expected=None):
    """`counted`: the counters that move are compared too."""
    def add(function):
        CASES.append(Case(function, options, counted, expected))
        return function
    return add


# ---- retrievals ----

@case()
def get_answers_flags_and_value(talk):
    talk.all(store(SET, b"k", b"value", flags=0xdeadbeef), frame(GET, b"k"), frame(GET, b"none"))


@case()
def getk_answers_the_key_too_and_a_miss_with_it(talk):
    talk.all(store(SET, b"k", b"value", flags=7), frame(GETK, b"k"), frame(GETK, b"none"))


@case()
def quiet_gets_say_nothing_of_misses(talk):
    talk.all(store(SETQ, b"a", b"1"), store(SETQ, b"b", b"2"), *[frame(op, key, opaque=n)
             for n, (op, key) in enumerate((op, key) for op in (GETQ, GETKQ) for key in (b"a", b"x", b"b", b"y"))])


@case()
def an_empty_value_is_a_value(talk):
    talk.all(store(SET, b"k", b""), frame(GET, b"k"), frame(GETK, b"k"), frame(APPEND, b"k", value=b""), frame(GET, b"k"))


@case()
def keys_and_values_are_any_bytes(talk):
    key, value = bytes(range(250)), bytes(range(256)) * 3
    talk.all(store(SET, key, value), frame(GETK, key), store(SET, b" \r\n\0", b"\r\n"), frame(GETK, b" \r\n\0"), frame(DELETE, key))


@case()
def a_long_pipeline_of_quiet_gets_is_answered_in_order(talk):
    talk.all(*[store(SETQ, b"key%d" % n, b"v" * (n % 300), flags=n) for n in range(0, 700, 2)],
             *[frame(GETKQ, b"key%d" % n, opaque=n) for n in range(700)])


@case()
def values_of_all_sizes_come_back(talk):
    for size in (1, 100, 4095, 4096, 16384, 16385, 40000, 100000, 1000000):
        talk.all(store(SET, b"k", bytes(n % 251 for n in range(1000)) * (size // 1000) + b"x" * (size % 1000)),
                 frame(GET, b"k"), frame(GETK, b"k"), touch(GATK, b"k"))


@case()
def many_large_values_in_one_pipeline(talk):
    talk.all(*[store(SETQ, b"big%d" % n, b"%d" % n * 60000) for n in range(8)],
             *[frame(GETQ, b"big%d" % (n % 8), opaque=n) for n in range(64)])


# ---- storage ----

@case()
def storing_answers_the_cas_that_get_shows(talk):
    for op in (SET, ADD, REPLACE):
        talk.all(frame(DELETE, b"k"), store(op, b"k", b"1", flags=1), frame(GET, b"k"), store(op, b"k", b"2", flags=2), frame(GET, b"k"))


@case()
def quiet_storing_answers_only_failure(talk):
    for op in (SETQ, ADDQ, REPLACEQ):
        talk.all(frame(DELETEQ, b"k"), store(op, b"k", b"1"), store(op, b"k", b"2"), frame(GET, b"k"))


@case()
def append_and_prepend_join(talk):
    talk.all(frame(APPEND, b"k", value=b"no"), frame(PREPEND, b"k", value=b"no"), store(SET, b"k", b"middle", flags=9),
             frame(APPEND, b"k", value=b">end"), frame(PREPEND, b"k", value=b"begin<"), frame(GET, b"k"))
    talk.all(frame(APPENDQ, b"k", value=b"!"), frame(PREPENDQ, b"k", value=b"!"), frame(APPENDQ, b"none", value=b"!"),
             frame(PREPENDQ, b"none", value=b"!"), frame(GET, b"k"))


@case()
def a_cas_that_matches_stores_and_one_that_does_not_is_told(talk):
    for op in (SET, ADD, REPLACE):
        cas = talk.ask(store(SET, b"k", b"1")).cas
        talk.ask(store(op, b"k", b"2", cas=cas + 1))
        cas = talk.ask(store(op, b"k", b"3", cas=cas)).cas
        talk.all(frame(GET, b"k"), store(op, b"none", b"4", cas=cas), store(op, b"k", b"4", cas=0xffffffffffffffff))


@case()
def quiet_cas_is_told_only_when_it_fails(talk):
    for op in (SETQ, ADDQ, REPLACEQ):
        cas = talk.ask(store(SET, b"k", b"1")).cas
        talk.all(store(op, b"k", b"2", cas=cas + 1), store(op, b"k", b"3", cas=cas), store(op, b"none", b"4", cas=cas), frame(GET, b"k"))


@case()
def joins_look_at_the_cas(talk):
    for op in (APPEND, PREPEND, APPENDQ, PREPENDQ):
        cas = talk.ask(store(SET, b"k", b"1")).cas
        talk.all(frame(op, b"k", value=b"2", cas=cas + 1), frame(op, b"k", value=b"3", cas=cas), frame(GET, b"k"),
                 frame(op, b"none", value=b"4", cas=cas))


@case()
def an_expiry_is_honoured(talk):
    talk.all(store(SET, b"past", b"v", expiry=1000000000), frame(GET, b"past"), store(SET, b"future", b"v", expiry=2000000000),
             frame(GET, b"future"), store(SET, b"days", b"v", expiry=86400), frame(GET, b"days"),
             store(SET, b"last", b"v", expiry=0xffffffff), frame(GET, b"last"), store(SET, b"half", b"v", expiry=0x80000000),
             frame(GET, b"half"))


@case()
def deleting_looks_at_the_cas(talk):
    cas = talk.ask(store(SET, b"k", b"1")).cas
    talk.all(frame(DELETE, b"k", cas=cas + 1), frame(GET, b"k"), frame(DELETE, b"k", cas=cas), frame(DELETE, b"k", cas=cas),
             frame(DELETE, b"k"))
    cas = talk.ask(store(SET, b"k", b"1")).cas
    talk.all(frame(DELETEQ, b"k", cas=cas + 1), frame(DELETEQ, b"k", cas=cas), frame(DELETEQ, b"k"))


# ---- numbers ----

@case()
def numbers_are_created_with_their_initial_value_and_expiry(talk):
    for op in (INCREMENT, DECREMENT):
        talk.all(frame(DELETEQ, b"n"), delta(op, b"n", 5, 100, 0), frame(GET, b"n"))
        talk.all(delta(op, b"n", 5, 7, 0), frame(GET, b"n"), delta(op, b"none", 1, 1), delta(op, b"past", 1, 1, 1000000000), delta(op, b"past", 1, 1),
                 delta(op, b"max%d" % op, 1, 0xffffffffffffffff, 0xfffffffe), frame(GET, b"max%d" % op))


@case()
def quiet_numbers_are_told_only_when_they_fail(talk):
    for op in (INCREMENTQ, DECREMENTQ):
        talk.all(delta(op, b"n", 1, 50, 0), delta(op, b"n", 3, 50, 0), delta(op, b"none"), store(SETQ, b"word", b"word"), delta(op, b"word"))
        talk.all(frame(GET, b"n"))


@case()
def increments_wrap_and_decrements_stop(talk):
    for step in (store(SET, b"n", b"18446744073709551615"), delta(INCREMENT, b"n", 1), delta(INCREMENT, b"n", 0xffffffffffffffff),
                 frame(GET, b"n"), store(SET, b"n", b"10"), delta(DECREMENT, b"n", 3), frame(GET, b"n"), delta(DECREMENT, b"n", 30),
                 frame(GET, b"n"), delta(INCREMENT, b"n", 12345), frame(GET, b"n")):
        talk.all(step)  # memcached changes an item in place only when no reply is holding it


@case()
def what_is_no_number_is_not_counted(talk):
    for value in (b"", b"x", b"1x", b" 1", b"-1", b"18446744073709551616", b"1" * 30):
        talk.all(store(SET, b"n", value), delta(INCREMENT, b"n"), delta(DECREMENT, b"n"), frame(GET, b"n"))


@case()
def numbers_look_at_the_cas(talk):
    for op in (INCREMENT, DECREMENT):
        cas = talk.ask(store(SET, b"n", b"10")).cas
        talk.ask(delta(op, b"n", 1, cas=cas + 1))
        talk.all(delta(op, b"n", 1, cas=cas), delta(op, b"n", 1, cas=cas), frame(GET, b"n"), delta(op, b"new%d" % op, 1, 5, 0, cas=99))


# ---- touch ----

@case()
def touching_answers_the_flags_and_getting_the_value_too(talk):
    talk.all(store(SET, b"k", b"value", flags=5), touch(TOUCH, b"k", 100), touch(GAT, b"k", 100), touch(GATQ, b"k", 100),
             touch(GATK, b"k", 100), touch(GATKQ, b"k", 100))


@case()
def touching_what_is_not_there(talk):
    talk.all(touch(TOUCH, b"none"), touch(GAT, b"none"), touch(GATQ, b"none"), touch(GATK, b"none"), touch(GATKQ, b"none"))


@case()
def touching_with_a_past_date_ends_an_item(talk):
    talk.all(store(SET, b"k", b"v"), touch(TOUCH, b"k", 1000000000), frame(GET, b"k"), store(SET, b"k", b"v"),
             touch(GAT, b"k", 1000000000), frame(GET, b"k"))


# ---- the server ----

@case()
def flush_forgets_everything(talk):
    for op in (FLUSH, FLUSHQ):
        talk.all(store(SET, b"k", b"v"), frame(op), frame(GET, b"k"), store(SET, b"k", b"v"), frame(op, extras=WITH_EXPIRY),
                 frame(GET, b"k"))


@case()
def a_flush_to_come_leaves_the_items(talk):
    talk.all(store(SET, b"k", b"v"), frame(FLUSH, extras=struct.pack(">I", 3000)), frame(GET, b"k"))


@case("-F")
def a_flush_that_is_switched_off_is_refused(talk):
    talk.all(store(SET, b"k", b"v"), frame(FLUSH), frame(FLUSHQ), frame(GET, b"k"))


@case()
def noop_and_version(talk):
    talk.all(frame(NOOP, opaque=1), frame(NOOP, opaque=0xffffffff, cas=77))
    talk.all(frame(VERSION))


@case()
def quit_answers_and_closes(talk):
    talk.all(frame(NOOP), frame(QUIT), frame(NOOP))


@case()
def quiet_quit_closes(talk):
    talk.all(frame(NOOP), frame(QUITQ), frame(NOOP))


@case()
def reserved_fields_and_data_types_are_ignored(talk):
    talk.all(frame(NOOP, data_type=255, reserved=0xffff), frame(GET, b"k", data_type=1, cas=12345))


# ---- statistics ----

def stat(talk, key=b"", opaque=0x1234):
    """The names that a Stat answers, without its numbers."""
    talk.send(frame(STAT, key, opaque=opaque), frame(NOOP, opaque=0x5678))
    names, others = [], []
    while (reply := talk.next()) is not None and reply.opaque == opaque:
        names.append(reply.key)
        if reply.status or reply.cas or reply.extras or reply.opcode != STAT or not reply.key:
            others.append((reply.opcode, reply.status, reply.cas, reply.extras, reply.key, reply.value))
    return names, others


@case(counted=False)
def statistics_end_with_an_empty_frame(talk):
    names, others = stat(talk)
    talk.note(f"ends {others}; pid {names.count(b'pid')} cmd_get {names.count(b'cmd_get')} curr_items {names.count(b'curr_items')}")
    for key in (b"settings", b"settingsxyz", b"reset", b"reset all", b"detail on", b"detail off", b"detail onx"):
        names, others = stat(talk, key)
        talk.note(f"{key}: ends {others}, has names {len(names) > 1}, maxconns {names.count(b'maxconns')}")


@case()
def statistics_of_classes(talk):
    talk.all(store(SET, b"k", b"v"))
    for key in (b"items", b"slabs", b"sizes"):
        names, others = stat(talk, key)
        talk.note(f"{key}: ends {others}, has names {len(names) > 1}")


@case()
def unknown_statistics_are_not_found(talk):
    for key in (b"cachedump", b"conns", b"nothing", b"item", b"items ", b"itemsx", b"detail", b"detail x", b"resett"[:4], b"x" * 250, b"\0"):
        talk.all(frame(STAT, key))


@case()
def the_prefix_dump_is_one_value(talk):
    stat(talk, b"detail on")
    talk.all(store(SET, b"p:1", b"v"), frame(GET, b"p:1"), frame(GET, b"p:2"), frame(DELETE, b"p:1"), touch(GAT, b"p:1"))
    talk.all(frame(STAT, b"detail dump", opaque=3))
    stat(talk, b"detail off")


# ---- malformed frames ----

@case()
def a_wrong_magic_closes_without_a_word(talk):
    for magic in (0x00, 0x81, 0x7f, ord("g")):
        talk.all(frame(NOOP), frame(NOOP, magic=magic), frame(NOOP))
        talk.reconnect()


@case()
def unknown_opcodes_are_answered_and_skipped(talk):
    for opcode in sorted(set(range(256)) - set(KNOWN)):
        talk.all(frame(opcode, opaque=opcode))


@case()
def an_unknown_opcode_s_body_is_ignored_once_more(talk):
    talk.all(frame(0x70, value=b"12345678"), frame(NOOP, opaque=1))
    talk.all(frame(0x70, b"key", b"extras", b"value"), b"x" * 9, frame(NOOP, opaque=1))


@case()
def no_opcode_takes_extras_of_a_wrong_size(talk):
    for opcode in KNOWN:
        for size in (1, 3, 4, 5, 7, 8, 9, 19, 20, 21, 255):
            if (opcode in (STAT, SASL_AUTH, SASL_STEP) and size > 0) or opcode not in (STAT, SASL_AUTH, SASL_STEP):
                talk.all(frame(opcode, b"k", b"\0" * size, b"", opaque=size))
                talk.reconnect()


@case()
def frames_without_a_key(talk):
    for opcode in sorted(set(KNOWN) - {STAT}):
        for size in (0, 4, 8, 20):
            talk.all(frame(opcode, b"", b"\0" * size, b"", opaque=size))
            talk.reconnect()


@case()
def frames_with_a_body_that_nobody_asked_for(talk):
    for opcode in sorted(set(KNOWN) - {SASL_LIST, SASL_AUTH, SASL_STEP, STAT, TOUCH, GAT, GATQ, GATK, GATKQ}):
        for size in (0, 4, 8, 20):
            talk.all(frame(opcode, b"k", b"\0" * size, b"body", opaque=size))
            talk.reconnect()


@case()
def more_body_than_a_touch_needs_is_the_next_frame(talk):
    for opcode in (TOUCH, GAT, GATQ, GATK, GATKQ):
        talk.all(frame(opcode, b"k", WITH_EXPIRY, frame(NOOP, opaque=2)), frame(NOOP, opaque=3))
    talk.all(frame(STAT, b"none", b"", frame(NOOP, opaque=2)), frame(NOOP, opaque=3))


@case()
def keys_of_250_bytes_and_not_of_251(talk):
    for opcode in (GET, GETKQ, DELETE):
        for size in (249, 250, 251, 256, 1000):
            talk.all(frame(opcode, b"k" * size))
            talk.reconnect()
    for size in (250, 251):
        talk.all(store(SET, b"k" * size, b"v"), frame(GETK, b"k" * size))
        talk.reconnect()
        talk.all(delta(INCREMENT, b"n" * size, 1, 1, 0), touch(TOUCH, b"k" * size), frame(APPEND, b"k" * size, value=b"x"))
        talk.reconnect()


@case()
def a_key_or_extras_longer_than_the_body_close(talk):
    for opcode in (GET, SET, APPEND, SASL_AUTH, TOUCH, INCREMENT, NOOP, 0x70):
        talk.all(frame(opcode, b"k" * 20, body_size=10))
        talk.reconnect()
        talk.all(frame(opcode, b"k" * 5, b"e" * 8, body_size=12))
        talk.reconnect()


@case()
def a_truncated_frame_is_waited_for(talk):
    data = store(SET, b"key", b"value")
    for cut in range(1, len(data)):
        talk.send(data[:cut])
        talk.connection.shutdown(1)
        talk.rest()
        talk.reconnect()


@case()
def frames_come_a_byte_at_a_time(talk):
    data = b"".join([store(SET, b"k", b"value", flags=3), frame(GET, b"k"), frame(GETKQ, b"none"), frame(GETK, b"k"),
                     delta(INCREMENT, b"n", 1, 9, 0), touch(GAT, b"k", 50), frame(APPEND, b"k", value=b"x"), frame(0x70, value=b"abc"),
                     store(SETQ, b"k", b""), frame(DELETE, b"k"), frame(STAT, b"nothing")])
    for at in range(len(data)):
        talk.send(data[at:at + 1])
    talk.all()


@case()
def an_object_too_large_is_refused_and_its_body_ignored(talk):
    big = b"x" * (1 << 20)
    for opcode in (SET, SETQ, ADD, REPLACE):
        talk.all(store(SETQ, b"k", b"old"), store(opcode, b"k", big), frame(GET, b"k"))
    for opcode in (APPEND, APPENDQ, PREPEND):
        talk.all(store(SETQ, b"k", b"old"), frame(opcode, b"k", value=big), frame(GET, b"k"))


@case()
def a_join_that_grows_too_large_is_not_stored(talk):
    half = b"x" * 600000
    talk.all(store(SET, b"k", half), frame(APPEND, b"k", value=half), frame(PREPENDQ, b"k", value=half), frame(GET, b"k"))


@case("-I", "8m", "-m", "64")
def bodies_of_megabytes_are_staged(talk):
    for opcode in (SET, REPLACE):
        talk.all(store(SETQ, b"k", b"small"), store(opcode, b"k", b"y" * 5000000, flags=3), frame(GET, b"k"), frame(GETK, b"k"))
    cas = talk.ask(store(SET, b"k", b"z" * 3000000)).cas
    talk.all(store(SET, b"k", b"w" * 3000000, cas=cas + 1), store(SETQ, b"k", b"w" * 3000000, cas=cas), frame(GETK, b"k"),
             frame(APPEND, b"k", value=b"!" * 100000), frame(GET, b"k"))


# ---- options ----

@case("-C")
def without_cas_all_are_0_and_none_matches(talk):
    talk.all(store(SET, b"k", b"1"), frame(GET, b"k"), store(SET, b"k", b"2", cas=5), frame(GET, b"k"), frame(DELETE, b"k", cas=5),
             store(SET, b"n", b"1"), delta(INCREMENT, b"n", 1, cas=5), delta(INCREMENT, b"n", 1), frame(APPEND, b"k", value=b"3", cas=5),
             frame(GET, b"k"), store(ADD, b"k", b"4", cas=5), store(REPLACE, b"none", b"4", cas=5))


@case("-M", "-m", "8", "-I", "1m", counted=False)
def a_full_cache_that_may_not_evict_says_so(talk):
    for n in range(60):
        talk.send(store(SETQ, b"fill%d" % n, b"x" * 200000))
    talk.send(frame(NOOP, opaque=1))
    refused = 0
    while (reply := talk.next()).opaque != 1:
        refused += 1
        last = reply
    talk.note(f"some refused: {0 < refused < 60}, {last.status:#x} {last.value!r}")


@case("-B", "binary")
def a_binary_server_closes_on_text(talk):
    talk.send(b"version\r\nget this_is_long_enough_for_a_head\r\n")
    talk.rest()


@case("-B", "ascii", counted=False)
def an_ascii_server_takes_a_frame_for_text(talk):
    talk.send(frame(GET, b"key") + b"\r\nversion\r\n")
    talk.connection.shutdown(1)
    data = b""
    while got := talk.connection.recv(4096):
        data += got
    talk.note(f"{data.split(b'VERSION')[0]!r}")


@case()
def a_session_keeps_the_protocol_of_its_first_byte(talk):
    talk.all(frame(NOOP, opaque=1))
    talk.send(b"version\r\nversion\r\nversion\r\n")
    talk.rest()
    talk.reconnect()
    newline = b"\n"
    talk.send(b"version\r\n" + frame(GET, b"key") + b"\r\n")
    talk.connection.shutdown(1)
    data = b""
    while got := talk.connection.recv(4096):
        data += got
    talk.note(f"{data[:11]!r} and {data.split(newline, 1)[1]!r}")


@case()
def sasl_is_unknown_where_it_is_off(talk):
    talk.all(frame(SASL_LIST), frame(SASL_AUTH, b"PLAIN", value=b"\0user\0password"), frame(SASL_STEP, b"PLAIN", value=b"x"),
             frame(SASL_AUTH, b"m" * 33, value=b"x"), frame(NOOP, opaque=1))


# ---- authentication ----

def login(message=LOGIN, mechanism=b"PLAIN", opcode=SASL_AUTH):
    return frame(opcode, mechanism, value=message)


@case(SASL, counted=False)
def mechanisms_are_listed(talk):
    talk.all(frame(SASL_LIST))


@case(SASL, counted=False)
def nothing_is_served_before_authentication(talk):
    for opcode in sorted(set(range(0x30)) - {SASL_LIST, SASL_AUTH, SASL_STEP, VERSION}):
        talk.ask(frame(opcode, b"k", b"\0" * 8, b"v"))
        talk.rest()
        talk.reconnect()
    talk.ask(frame(VERSION))
    talk.send(b"version\r\nversion\r\nversion\r\n")
    talk.rest()


@case(SASL, counted=False)
def lies_before_authentication_close(talk):
    talk.ask(frame(SASL_AUTH, b"A" * 0x20, body_size=1))
    talk.rest()
    talk.reconnect()
    talk.ask(frame(GET, b"k" * 20, body_size=1))
    talk.rest()
    talk.reconnect()
    for opcode in (SASL_AUTH, SASL_STEP):
        talk.ask(frame(opcode, value=b"no mechanism"))
        talk.rest()
        talk.reconnect()
        talk.ask(frame(opcode, b"PLAIN", b"extras", LOGIN))
        talk.rest()
        talk.reconnect()
    talk.ask(frame(SASL_LIST, b"k"))
    talk.rest()


@case(SASL, counted=False)
def the_right_password_opens_and_a_wrong_one_does_not(talk):
    talk.all(login(), store(SET, b"k", b"v"), frame(GET, b"k"))
    talk.reconnect()
    for message in (b"\0user\0wrong", b"\0nobody\0secret", b"\0user\0secre", b"\0user\0secrets", b"user\0secret", b"garbage", b"\0\0",
                    b"\0user\0"):
        talk.ask(login(message))
        talk.ask(frame(GET, b"k"))
        talk.rest()
        talk.reconnect()
    talk.all(login(b"user" + LOGIN), frame(GET, b"k"))


@case(SASL, counted=False)
def failing_again_ends_what_was_allowed(talk):
    talk.all(login(), frame(GET, b"k"))
    talk.ask(login(b"\0user\0wrong"))
    talk.ask(frame(GET, b"k"))
    talk.rest()
    talk.reconnect()
    talk.all(login(), frame(SASL_LIST), frame(GET, b"k"))


@case(SASL, counted=False)
def other_mechanisms_fail(talk):
    for mechanism in (b"CRAM-MD5", b"X", b"PLAINX", b"PLAI", b"M" * 32):
        talk.ask(login(mechanism=mechanism))
    talk.ask(login(mechanism=b"M" * 33))
    talk.all(login(), frame(GET, b"k"))


@case(SASL, counted=False)
def a_step_needs_a_beginning(talk):
    talk.ask(login(opcode=SASL_STEP))
    talk.ask(login(b""))
    talk.all(login(opcode=SASL_STEP), frame(GET, b"k"))
    talk.reconnect()
    talk.ask(login(b""))
    talk.ask(login(b"\0user\0wrong", opcode=SASL_STEP))
    talk.ask(frame(GET, b"k"))
    talk.rest()


@case(SASL, counted=False)
def authentication_comes_a_byte_at_a_time(talk):
    data = login() + frame(GET, b"k")
    for at in range(len(data)):
        talk.send(data[at:at + 1])
    talk.all()


@case(SASL, counted=False)
def tries_and_failures_are_counted(talk):
    def tries():
        found = {}
        talk.send(frame(STAT))
        while (reply := talk.next()).key:
            found[reply.key] = reply.value
        return int(found[b"auth_cmds"]), int(found[b"auth_errors"])
    talk.ask(login())
    before = tries()
    talk.ask(login(b"wrong"))
    talk.ask(login(b""))
    talk.ask(login(b"wrong", opcode=SASL_STEP))
    talk.ask(login(mechanism=b"X"))
    talk.ask(login())
    after = tries()
    talk.note(f"counted {after[0] - before[0]} tries, {after[1] - before[1]} failures")


# ---- where memcached 1.6.45 is stricter than the installed one ----

@case(expected=[(0x04, True)] * 10)
def lengths_beyond_31_bits_close(talk):
    for opcode, body_size in ((ADDQ, 0xffffffe8), (SET, 0xffffffd0), (APPEND, 0x80000000), (SET, 0x7fffffff), (REPLACEQ, 0xffffffff),
                              (ADD, 0x80000010), (GET, 0xfffffff0), (PREPENDQ, 0x7ffffffe), (SET, 0x80000001), (SETQ, 0x80000000)):
        extras = b"\0" * 8 if opcode in (SET, SETQ, ADD, ADDQ, REPLACEQ) else b""
        yield talk.all(frame(opcode, b"k", extras, b"A" * 100, body_size=body_size))
        talk.reconnect()
