"""Starting with TLS: what is wrong is said in one line, and what is right is told by `stats settings`."""
import os
import re
import shutil
import tempfile

from common import (FOLDER, Server, connect, context, files, main, make_certificate, openssl, path, refused, secure,
                    secure_memcached, VERSIONS)
from harness import alive, run
import ssl


def fails(*options, **environment):
    """The one line that a start ends with."""
    listen = () if "-s" in options else ("-l", "127.0.0.1:0")
    code, out, errors = run("--admin-listen", "off", *listen, *options, **environment)
    lines = errors.splitlines()
    assert code not in (0, None) and not out and len(lines) == 1, (code, out, errors)
    return lines[0]


def libraries(server):
    """OpenSSL's files that the server has in memory, by the names they are loaded by."""
    with open(f"/proc/{server.pid}/maps", encoding="ascii", errors="replace") as maps:
        found = re.findall(r"(/\S*/(lib(?:ssl|crypto)\.so\.\d+)\S*)$", maps.read(), re.M)
    return {name: file for file, name in found}


def fails_with_library(name, bytes_of_it):
    """The line that a start ends with where the first file of a library's name is this one."""
    folder = tempfile.mkdtemp(dir=FOLDER.name)
    with open(os.path.join(folder, name), "wb") as out:
        out.write(bytes_of_it)
    line = fails("-Z", "-o", files(), LD_LIBRARY_PATH=folder)
    assert f"needs OpenSSL, which cannot be loaded: {folder}/{name}: " in line, line
    return line


def test_openssl_is_not_in_memory_without_tls():
    with Server("--admin-listen", "127.0.0.1:0", "-o", files()) as server:
        alive(server)
        assert not libraries(server), libraries(server)


def test_openssl_is_in_memory_with_tls():
    with secure() as server:
        assert sorted(name.split(".")[0] for name in libraries(server)) == ["libcrypto", "libssl"], libraries(server)


def test_openssl_that_cannot_be_loaded_is_told():
    with secure() as server:
        crypto, tls = sorted(libraries(server).items())
    for name, _ in (crypto, tls):
        assert "file too short" in fails_with_library(name, b"no library")
    with open(crypto[1], "rb") as another:
        assert "undefined symbol: " in fails_with_library(tls[0], another.read())


def test_no_certificate_is_told():
    assert "needs -o ssl_chain_cert=FILE" in fails("-Z")


def test_no_tcp_port_is_told():
    assert "needs a TCP port" in fails("-Z", "-p", "0", "-s", path("sock"), "-o", files())


def test_missing_and_unreadable_files_are_named():
    for what in ("certificate chain", "key", "CA certificate"):
        keys = {"certificate chain": f"ssl_chain_cert={path('none')},ssl_key={path('server.key')}",
                "key": f"ssl_chain_cert={path('server.pem')},ssl_key={path('none')}",
                "CA certificate": files("server", f"ssl_ca_cert={path('none')}")}[what]
        line = fails("-Z", "-o", keys)
        assert f"Error loading the {what}: {path('none')} : " in line and "No such file" in line, line


def test_malformed_files_are_named():
    with open(path("rubbish.pem"), "w", encoding="ascii") as out:
        out.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    open(path("empty.pem"), "w", encoding="ascii").close()
    for name in ("rubbish.pem", "empty.pem"):
        line = fails("-Z", "-o", f"ssl_chain_cert={path(name)},ssl_key={path('server.key')}")
        assert "Error loading the certificate chain: " in line and path(name) in line, line


def test_key_of_another_certificate_is_refused():
    line = fails("-Z", "-o", f"ssl_chain_cert={path('server.pem')},ssl_key={path('other.key')}")
    assert "key values mismatch" in line, line


def test_key_with_a_passphrase_is_refused_without_asking():
    openssl("ec", "-in", path("server.key"), "-aes128", "-passout", "pass:secret", "-out", path("locked.key"))
    line = fails("-Z", "-o", f"ssl_chain_cert={path('server.pem')},ssl_key={path('locked.key')}")
    assert "Error loading the key: " in line, line


def test_unknown_ciphers_are_refused():
    line = fails("-Z", "-o", files("server", "ssl_ciphers=NO-SUCH-CIPHER"))
    assert "Error setting the provided cipher(s): NO-SUCH-CIPHER" in line, line


def test_prefixes_need_tls():
    for prefix in ("notls", "btls", "mtls"):
        code, _, errors = run("--admin-listen", "off", "-l", f"{prefix}:127.0.0.1:0")
        assert code != 0 and "-Z" in errors and len(errors.splitlines()) == 1, errors


def test_options_without_z_are_said_to_have_no_effect():
    with Server("-o", files()) as server:
        alive(server)
        assert "no effect without -Z" in server.log_text()


def test_key_may_stand_in_the_file_of_the_certificate():
    with open(path("both.pem"), "w", encoding="ascii") as out:
        for name in ("server.pem", "server.key"):
            with open(path(name), encoding="ascii") as part:
                out.write(part.read())
    with Server("-Z", "-o", f"ssl_chain_cert={path('both.pem')}") as server, connect(server) as client:
        assert client.ask(b"version\r\n").startswith(b"VERSION ")


def test_key_may_be_der():
    openssl("ec", "-in", path("server.key"), "-outform", "DER", "-out", path("der.key"))
    keys = f"ssl_chain_cert={path('server.pem')},ssl_key={path('der.key')},ssl_keyformat=2"
    with Server("-Z", "-o", keys) as server, connect(server) as client:
        assert client.ask(b"version\r\n").startswith(b"VERSION ")


def test_rsa_certificates_and_chains_are_shown_whole():
    make_certificate("rsa", "authority", ("rsa:2048",))
    with open(path("chain.pem"), "w", encoding="ascii") as out:
        for name in ("rsa.pem", "authority.pem"):
            with open(path(name), encoding="ascii") as part:
                out.write(part.read())
    shutil.copy(path("rsa.key"), path("chain.key"))
    with secure(certificate="chain") as server:
        for version in VERSIONS:
            with connect(server, context(version)) as client:
                assert client.ask(b"version\r\n").startswith(b"VERSION ")


def test_expired_certificate_is_warned_of_and_served():
    make_certificate("old", "authority", days="-1")
    with secure(certificate="old") as server:
        assert "has expired" in server.log_text()
        with connect(server, context(verify_mode=ssl.CERT_NONE)) as client:
            assert client.ask(b"version\r\n").startswith(b"VERSION ")


def test_kernel_tls_is_served_whether_the_kernel_has_it_or_not():
    with secure(keys=("ssl_kernel_tls",)) as server, connect(server) as client:
        assert client.stats(b"settings")[b"ssl_kernel_tls"] == b"yes"
        client.store(b"k", b"v" * 100000)
        assert client.ask(b"get k\r\n", b"END\r\n") == b"VALUE k 0 100000\r\n" + b"v" * 100000 + b"\r\nEND\r\n"


def test_settings_are_told_as_memcached_tells_them():
    authority = f"ssl_ca_cert={path('authority.pem')}"
    for keys in ((), ("ssl_verify_mode=1", authority, "ssl_wbuf_size=64"),
                 ("ssl_verify_mode=2", authority, "ssl_session_cache", "ssl_min_version=3"),
                 ("ssl_verify_mode=3", authority, "ssl_kernel_tls", "ssl_min_version=0",
                  "ssl_ciphers=ECDHE-ECDSA-AES128-GCM-SHA256")):
        told = []
        for server in (secure(keys=keys), secure_memcached(keys=keys)):
            with server, connect(server, context(certificate="client")) as client:
                stats = client.stats(b"settings")
                told.append([(name, value) for name, value in stats.items() if name.startswith(b"ssl_")])
        assert told[0] == told[1] and len(told[0]) == 11, told


def test_statistics_have_memcacheds_names_and_only_with_tls():
    names = []
    for server in (secure(keys=("ssl_session_cache",)), secure_memcached(keys=("ssl_session_cache",))):
        with server, connect(server) as client:
            names.append([name for name in client.stats() if name.startswith((b"ssl_", b"time_since_server"))])
    assert [name for name in names[0] if name != b"ssl_proto_errors"] == names[1], names
    with secure() as server, connect(server) as client:
        assert b"ssl_new_sessions" not in client.stats()
    with Server() as server:
        assert not any(name.startswith((b"ssl_", b"time_since_server")) for name in server.stats())


def test_oldest_version_is_as_in_memcached():
    for minimum in ("2", "3"):
        for version in VERSIONS:
            answers = []
            for server in (secure(keys=(f"ssl_min_version={minimum}",)), secure_memcached(keys=(f"ssl_min_version={minimum}",))):
                with server:
                    answers.append(refused(server, context(version)))
            assert answers[0] == answers[1] == (minimum == "3" and version == ssl.TLSVersion.TLSv1_2), (minimum, version)


def test_versions_before_1_2_are_refused_unless_asked_for():
    with secure() as server, secure(keys=("ssl_min_version=0", "ssl_ciphers=ALL:@SECLEVEL=0")) as lenient:
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            using = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            using.check_hostname, using.verify_mode = False, ssl.CERT_NONE
            using.set_ciphers("ALL:@SECLEVEL=0")
            using.minimum_version = using.maximum_version = version
            assert refused(server, using) and not refused(lenient, using)


def test_ciphers_are_those_asked_for():
    with secure(keys=("ssl_ciphers=ECDHE-ECDSA-CHACHA20-POLY1305",)) as server:
        with connect(server, context(ssl.TLSVersion.TLSv1_2)) as client:
            assert client.socket.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"


if __name__ == "__main__":
    main()
