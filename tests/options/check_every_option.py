"""Every option of memcached's own help: taken, and where it has no meaning here said so in one line; wrong values refused."""
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from harness import BINARY, Server, main, run
from known import Places, keys, letters, refused_by_memcached

EX_USAGE, EX_OSERR = 64, 71
ENDS_AT_ONCE = {"h", "i", "V"}
UNUSED = "no meaning here"
# What the help names and Vitrine honours; each has its test: in check_behaviour.py or in the file named.
HONOURED = {"p", "U", "s", "a", "A", "l", "d", "r", "u", "m", "M", "c", "k", "v", "P", "L", "D", "t", "R", "C", "b", "B", "I",
            "F", "X", "o", "W", "S", "Y", "Z"}
HONOURED_KEYS = {"maxconns_fast", "no_maxconns_fast", "idle_timeout", "track_sizes", "watcher_logbuf_size", "worker_logbuf_size"}
WRONG = ["", "-1", "-99999999999", "99999999999999999999", "text", "12x", " ", "0x10"]


def is_tls(key):
    return key.startswith("ssl_")


def lines_of(server, word):
    return [line for line in server.log_text().splitlines() if word in line]


def stopped(*options):
    """The exit status and errors of a start whose options are all checked, but whose dashboard gets no address."""
    code, out, err = run(*options, "--admin-listen", "300.0.0.1:1")
    assert code in (EX_USAGE, EX_OSERR) and out == "", (options, code, out, err)
    return code, err


def start(options, listen=("-l", "127.0.0.1:0")):
    """The log's lines that say why an option has no meaning."""
    stopped(*options)
    with Server(*options, listen=listen) as server:
        return lines_of(server, UNUSED)


def spellings(option, value):
    yield [f"-{option.letter}"] + ([value] if value is not None else [])
    if option.name:
        yield [f"--{option.name}" + (f"={value}" if value is not None else "")]


def test_each_letter_and_long_name_is_taken():
    for option in letters():
        if option.letter in ENDS_AT_ONCE:
            for words in spellings(option, None):
                code, out, err = run(*words)
                assert code == 0 and out and not err, (words, code, err)
            continue
        if option.letter == "d":
            continue  # the parent ends: check_behaviour.py
        with Places() as places:
            value = places.value(option.letter) if option.takes_value else None
            on_path = {"p", "s", "a"} & {option.letter}
            for words in spellings(option, value):
                listen = ("-u", "root") if on_path and os.geteuid() == 0 else () if on_path else ("-l", "127.0.0.1:0")
                said = start([*words, *places.beside(option.letter)], listen)
                wanted = 0 if option.letter in HONOURED else 1
                assert len([line for line in said if f"-{option.letter} " in line]) == wanted, (words, said)


def test_each_key_of_o_is_taken():
    with Places() as places:
        for key in keys():
            value = places.key_value(key)
            words = places.tls() if is_tls(key) else []
            said = start([*words, "-o", key if value is None else f"{key}={value}"])
            wanted = 0 if key in HONOURED_KEYS or is_tls(key) else 1
            assert len(said) == wanted and all(f"-o {key} has" in line for line in said), (key, said)


def test_what_a_debug_memcached_takes_for_its_own_tests_is_taken():
    said = start(["-o", "relaxed_privileges"])
    assert len(said) == 1 and "-o relaxed_privileges has no meaning here" in said[0], said


def test_all_keys_together_and_repeated_lists():
    with Places() as places:
        each = [key for key in keys() if not is_tls(key) and key not in HONOURED_KEYS and not key.startswith("no_")]
        words = [key if places.key_value(key) is None else f"{key}={places.key_value(key)}" for key in each]
        for options in (["-o", ",".join(words)], [part for word in words for part in ("-o", word)], ["-o", ",".join(words) + ","]):
            with Server(*options) as server:
                assert len(lines_of(server, UNUSED)) == len(each), server.log_text()


def test_an_option_given_twice_is_told_once():
    with Server("-f", "1.1", "-f", "1.2", "-o", "slab_reassign,slab_reassign", "-o", "no_slab_reassign") as server:
        assert len(lines_of(server, UNUSED)) == 2, server.log_text()
        told = server.stats(b"settings")
        assert told[b"growth_factor"] == b"1.20" and told[b"slab_reassign"] == b"no", "the last one holds"


def test_unknown_ones_are_refused():
    taken = {option.letter for option in letters()}
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
        if letter not in taken:
            assert run(f"-{letter}") == (EX_USAGE, "", f"vitrine: -{letter}: there is no such option; see --help\n"), letter
    for word in ("--nonsense", "--nonsense=1", "--slab"):
        code, out, err = run(word)
        assert code == EX_USAGE and out == "" and err.count("\n") == 1, (word, err)
    for key in ("nonsense", "lru_segmented", "proxy_config=x", "no_hot_lru_pct", "no_nonsense", ",", "-"):
        assert refused_by_memcached("-o", key), key
        code, out, err = run("-o", key)
        assert code == EX_USAGE and out == "" and err.count("\n") == 1 and err.startswith("vitrine: -o "), (key, err)


def numbers():
    """(words before the value, the name in messages) of whatever takes a number."""
    with Places() as places:
        for option in letters():
            if option.takes_value and option.letter not in "slueoPYDB":
                yield (lambda value, letter=option.letter: [f"-{letter}", value]), f"-{option.letter} "
        for key in keys():
            if places.key_value(key) is not None and not is_tls(key) and key not in ("ext_path", "hash_algorithm", "slab_sizes"):
                yield (lambda value, key=key: ["-o", f"{key}={value}"]), f"-o {key}"


def test_wrong_numbers_are_refused_in_one_line():
    """Text behind a number memcached overlooks; here it is an error like any other."""
    for words, name in numbers():
        for value in WRONG:
            code, err = stopped(*words(value))
            told = err.splitlines()[-1]
            assert code == EX_USAGE and told.startswith("vitrine: " + name), (words(value), code, err)
            assert len([line for line in err.splitlines() if UNUSED not in line]) == 1, err


def test_what_memcached_refuses_is_refused():
    """Values around every limit that memcached has, put to both; the port's own limit ends those that are taken."""
    edges = ["0", "1", "2", "3", "4", "9", "10", "11", "12", "32", "33", "64", "65", "79", "80", "81", "1000000", "1000001",
             "1023", "1024", "2147483647", "4294967295", "4294967296", "0.0", "0.5", "1.0", "1.01", "1k", "512k", "32m", "33m"]
    cases = [(name, words(value)) for words, name in numbers() for value in edges
             # the port stands for itself; 1 MiB is enough here; 1.6.18 takes the last for slab_sizes as well
             if name not in ("-p ", "-m ", "-o worker_logbuf_size")]

    def verdicts(case):
        """(refused here, refused by memcached); -N may not exceed -t, of which memcached's default is 4."""
        options = ["-t", "4", *case[1]] if case[0] == "-N " else case[1]
        return stopped(*options)[0] == EX_USAGE, refused_by_memcached(*options)

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(verdicts, cases))
    for (_, words), (ours, theirs) in zip(cases, found):
        assert ours or not theirs, f"{words} is refused by memcached, and taken here"
    both, stricter = sum(ours and theirs for ours, theirs in found), sum(ours and not theirs for ours, theirs in found)
    print(f"     {both} refused by both, {stricter} here only: text where memcached reads the number before it, and the like")
    assert both > 50


def test_a_missing_value_is_refused():
    for option in letters():
        if not option.takes_value:
            continue
        assert run(f"-{option.letter}") == (EX_USAGE, "", f"vitrine: -{option.letter}: needs a value; see --help\n"), option
        if option.name:
            assert run(f"--{option.name}")[0] == EX_USAGE, option
    with Places() as places:
        for key in keys():
            if places.key_value(key) is not None and key != "slab_automove":
                code, out, err = run("-o", key)
                assert code == EX_USAGE and out == "" and err.startswith(f"vitrine: -o {key}: "), (key, err)


def test_flags_take_no_value_by_memcacheds_forms():
    """A bundle of letters is flags; a long flag takes yes or no, which memcached does not have."""
    assert run("-MFXCh")[0] == 0
    assert run("--disable-cas=perhaps")[0] == EX_USAGE


def test_limits_that_only_the_whole_shows():
    for options in (["-o", "hot_lru_pct=50,warm_lru_pct=31"], ["-o", "no_lru_maintainer,temporary_ttl=60"], ["-I", "33m"],
                    ["-m", "1", "-I", "600k"], ["-I", "2g", "-m", "9000"], ["-t", "2", "-N", "3"]):
        assert refused_by_memcached(*options), options
        code, out, err = run(*options)
        assert code == EX_USAGE and out == "" and err.count("\n") >= 1, (options, err)


if __name__ == "__main__":
    assert BINARY and sys.version_info >= (3, 9)
    main()
