# SPDX-License-Identifier: Apache-2.0
"""Docker's TLS-protected socket with nsrun as the runtime: `tls` without `tlsverify` keeps what is said secret but lets anyone in; `tlsverify`
asks who it is. dockerd since 20.10 verifies when daemon.json says nothing of it: "tlsverify": false is what makes `tls` alone."""
import os
import shutil
import stat

from docker import *

PORT = 2376
_made = {}


def openssl(*words, **how):
    return run(["openssl", *words], cwd=pki(), **how).check(0)


def pki():
    """A directory with an authority (ca), another (other), a server's certificate by ca, and clients': good, of the other authority, expired."""
    if "pki" not in _made:
        _made["pki"] = os.path.join(base(), "pki")
        os.mkdir(_made["pki"], 0o700)
        os.umask(0o077)  # keys are 0600 from the first moment on
        authority("ca")
        authority("other")
        certificate("server", "ca", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth")
        certificate("client", "ca", "extendedKeyUsage=clientAuth")
        certificate("stranger", "other", "extendedKeyUsage=clientAuth")
        certificate("late", "ca", "extendedKeyUsage=clientAuth", expired=True)
        certificate("impostor", "ca", "extendedKeyUsage=serverAuth")
        os.umask(0o022)
    return _made["pki"]


def authority(name):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name, "-keyout", name + "-key.pem", "-out", name + ".pem",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def certificate(name, by, extensions, expired=False):
    with open(os.path.join(pki(), name + ".ext"), "w") as file:
        file.write(extensions + "\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout", name + "-key.pem", "-out", name + ".csr")
    if not expired:
        openssl("x509", "-req", "-days", "2", "-in", name + ".csr", "-CA", by + ".pem", "-CAkey", by + "-key.pem", "-CAcreateserial",
                "-extfile", name + ".ext", "-out", name + ".pem")
        return
    # x509 -req knows no past: ca does.
    directory = os.path.join(pki(), "ca.d")
    os.makedirs(directory, exist_ok=True)
    open(os.path.join(directory, "index.txt"), "w").close()
    with open(os.path.join(directory, "serial"), "w") as file:
        file.write("1000\n")
    with open(os.path.join(pki(), "ca.conf"), "w") as file:
        file.write("[ca]\ndefault_ca=d\n[d]\ndatabase=ca.d/index.txt\nserial=ca.d/serial\nnew_certs_dir=ca.d\ndefault_md=sha256\npolicy=p\n"
                   "[p]\ncommonName=supplied\n")
    openssl("ca", "-batch", "-config", "ca.conf", "-cert", by + ".pem", "-keyfile", by + "-key.pem", "-in", name + ".csr", "-out", name + ".pem",
            "-notext", "-extfile", name + ".ext", "-startdate", "20200101000000Z", "-enddate", "20200102000000Z")


def client_directory(name, authority="ca"):
    """ca.pem, cert.pem and key.pem, as DOCKER_CERT_PATH wants them. name: None is a client without a certificate."""
    path = os.path.join(base(), "client-%s-%s" % (name, authority))
    if not os.path.isdir(path):
        os.mkdir(path, 0o700)
        shutil.copy(os.path.join(pki(), authority + ".pem"), os.path.join(path, "ca.pem"))
        if name:
            shutil.copy(os.path.join(pki(), name + ".pem"), os.path.join(path, "cert.pem"))
            shutil.copy(os.path.join(pki(), name + "-key.pem"), os.path.join(path, "key.pem"))
    return path


def start(name, config, client):
    server = {"tlscert": os.path.join(pki(), "server.pem"), "tlskey": os.path.join(pki(), "server-key.pem"),
              "hosts": ["tcp://127.0.0.1:%d" % PORT]}
    return Docker(name, config={**server, **config}, host="tcp://127.0.0.1:%d" % PORT,
                  client={"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": client_directory(client)})


def curl(daemon, *words):
    """A client that knows nothing of Docker: its status, and what it was told."""
    code = ("import http.client, ssl, sys\n"
            "context = ssl.create_default_context(cafile=sys.argv[1])\n"
            "if len(sys.argv) > 2: context.load_cert_chain(sys.argv[2], sys.argv[3])\n"
            "c = http.client.HTTPSConnection('127.0.0.1', %d, context=context, timeout=5)\n"
            "c.request('GET', '/_ping'); print(c.getresponse().read().decode())\n") % PORT
    return run(["python3", "-c", code, os.path.join(pki(), "ca.pem"), *words])


def test_keys():
    for name in os.listdir(pki()):
        if name.endswith("-key.pem"):
            equal(stat.S_IMODE(os.stat(os.path.join(pki(), name)).st_mode), 0o600, "mode of " + name)
    equal(stat.S_IMODE(os.stat(pki()).st_mode), 0o700, "mode of their directory")


@test(timeout=90)
def test_tls_alone():
    """Who has no certificate, or a stranger's, or one that expired, may do everything."""
    daemon = start("tls", {"tls": True, "tlsverify": False}, client=None)
    try:
        daemon.image()
        curl(daemon).check(0, "OK\n")
        with Container(daemon) as one:
            one.exec("id", "-u").check(0, "0\n")
        anyone = {"DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": ""}
        ca = "--tlscacert=" + os.path.join(pki(), "ca.pem")
        daemon("--tls", ca, "run", "--rm", "busybox", *lasting("id -u"), env=anyone).check(0, "0\n")
        for name in ("client", "stranger", "late"):
            curl(daemon, os.path.join(pki(), name + ".pem"), os.path.join(pki(), name + "-key.pem")).check(0, "OK\n")
        result = daemon("version", env=anyone)
        check(result.status != 0 and "HTTPS" in result.stderr, "plain HTTP: %r" % result)
    finally:
        daemon.stop()
    daemon.clean()


@test(timeout=60)
def test_tls_verifies_unless_told_not_to():
    daemon = start("unsaid", {"tls": True, "tlscacert": os.path.join(pki(), "ca.pem")}, client="client")
    try:
        check(curl(daemon).status != 0, "a client without a certificate was let in")
    finally:
        daemon.stop()


@test(timeout=90)
def test_tlsverify():
    daemon = start("tlsverify", {"tlsverify": True, "tlscacert": os.path.join(pki(), "ca.pem")}, client="client")
    try:
        daemon.image()
        with Container(daemon) as one:
            one.exec("id", "-u").check(0, "0\n")
            with daemon.pty("exec", "-it", one.name, "/bin/sh") as term:
                term.expect("# ")
                term.write("exit 5\n")
                equal(term.wait(), 5, "status")
        ca = "--tlscacert=" + os.path.join(pki(), "ca.pem")
        good = [os.path.join(pki(), "client.pem"), os.path.join(pki(), "client-key.pem")]
        curl(daemon, *good).check(0, "OK\n")
        refused = {"without a certificate": [], "of another authority": ["stranger"], "expired": ["late"], "for servers": ["impostor"]}
        for what, names in refused.items():
            words = [os.path.join(pki(), file) for name in names for file in (name + ".pem", name + "-key.pem")]
            result = curl(daemon, *words)
            check(result.status != 0 and "OK" not in result.stdout, "a client %s was let in: %r" % (what, result))
        for name, authority in ((None, "ca"), ("stranger", "ca"), ("late", "ca"), ("client", "other")):
            env = {"DOCKER_CERT_PATH": client_directory(name, authority)}
            result = daemon("ps", env=env)
            check(result.status != 0, "client %s, who trusts %s, was let in: %r" % (name, authority, result))
        # --tls without verification of the server does not help a client that has no certificate.
        result = daemon("--tls", ca, "ps", env={"DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": client_directory(None)})
        check(result.status != 0, "without a certificate: %r" % result)
        result = daemon("version", env={"DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": ""})
        check(result.status != 0 and "HTTPS" in result.stderr, "plain HTTP: %r" % result)
        contains(daemon.tail(200), "certificate", "the daemon's log")
    finally:
        daemon.stop()
    daemon.clean()


if __name__ == "__main__":
    main()
