"""Servers that ask who is there: TLS, SASL and the password file of the text protocol.

A user and a password that are for these tests only, and a certificate made for the run. memcached keeps SASL's passwords
in Cyrus SASL's database, Vitrine takes those of the file that is also -Y's.
"""
import os
import socket
import subprocess

USER, PASSWORD = "user", "secret"


def make_certificate(folder):
    """Paths of a certificate for 127.0.0.1 and of its key, which every user may read."""
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out",
                    certificate], check=True, capture_output=True)
    os.chmod(key, 0o644)
    return certificate, key


def make_password_file(folder):
    path = os.path.join(folder, "passwords")
    with open(path, "w", encoding="ascii") as out:
        out.write(f"{USER}:{PASSWORD}\n")
    return path


def make_sasl_database(folder):
    """Cyrus SASL's database with our user, and the configuration that memcached finds by SASL_CONF_PATH."""
    path = os.path.join(folder, "sasldb")
    with open(os.path.join(folder, "memcached.conf"), "w", encoding="ascii") as out:
        out.write(f"mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {path}\n")
    subprocess.run(["saslpasswd2", "-p", "-a", "memcached", "-c", "-f", path, "-u", socket.gethostname(), USER],
                   input=PASSWORD, text=True, check=True, capture_output=True)
    os.chmod(path, 0o644)


class Secrets:
    """What the secured servers of one run are started with."""

    def __init__(self, folder):
        self.certificate, self.key = make_certificate(folder)
        self.passwords = make_password_file(folder)
        make_sasl_database(folder)
        os.environ["SASL_CONF_PATH"] = folder  # for the servers that this process starts

    def options(self, kind, how):
        """The options of a server of that kind: how is 'TLS', 'SASL', 'auth' or nothing."""
        return {"": [], "TLS": ["-Z", "-o", f"ssl_chain_cert={self.certificate},ssl_key={self.key}"],
                "SASL": ["-S"] if kind == "memcached" else ["-S", "-Y", self.passwords],
                "auth": ["-Y", self.passwords]}[how]

    def environment(self, how):
        """What a client's program is told: nothing where nobody asks."""
        return {"MATRIX_CERTIFICATE": self.certificate if how == "TLS" else "",
                "MATRIX_USER": USER if how in ("SASL", "auth") else "",
                "MATRIX_PASSWORD": PASSWORD if how in ("SASL", "auth") else ""}
