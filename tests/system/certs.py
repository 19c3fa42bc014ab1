"""Certificates made on the spot, by openssl."""

import pathlib
import subprocess


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, timeout=60,
                   capture_output=True)


class Authority:
    """Signs certificates; all its files are in one folder."""

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = self.folder / f"{name}.key"
        self.pem = self.folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN=authority {name}", "-keyout", self.key,
                "-out", self.pem)

    def sign(self, file, *names, days=30):
        """A certificate for names: options of a section tls."""
        key, request, pem = (self.folder / f"{file}.{end}"
                             for end in ("key", "csr", "pem"))
        sans = ",".join(("IP:" if n[0].isdigit() else "DNS:") + n
                        for n in names)
        openssl("req", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-subj",
                f"/CN={names[0]}", "-addext", f"subjectAltName={sans}",
                "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey",
                self.key, "-CAcreateserial", "-days", days,
                "-copy_extensions", "copy", "-out", pem)
        return {"certificate": str(pem), "key": str(key)}


def section(*pairs, **more):
    """The section tls with these certificates."""
    return {"certificate": [p["certificate"] for p in pairs],
            "key": [p["key"] for p in pairs], **more}
