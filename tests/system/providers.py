"""Who an agent under test may know: a section of agentd.conf for each.

The keys are made up. The simulator is told the same ones, and checks them as
each provider does.
"""

import functools
import json
import pathlib
import subprocess
import tempfile

KEY = "sk-provider-0123456789"
ACCESS = "AKIASIM0123456789000"
SECRET = "sim/provider+secret/0123456789abcdefghij"
CLIENT, CLIENT_SECRET = "sim-client", "sim~client.secret"
TENANT = "sim-tenant"
REGION = "us-east-1"
PROJECT, LOCATION = "sim-project", "us-central1"


def new_key():
    """An RSA key made on the spot: private and public half as PEM."""
    private = subprocess.run(
        ["openssl", "genpkey", "-quiet", "-algorithm", "RSA",
         "-pkeyopt", "rsa_keygen_bits:2048"],
        check=True, capture_output=True).stdout
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=private,
                            check=True, capture_output=True).stdout
    return private.decode(), public


FOLDER = tempfile.TemporaryDirectory(prefix="hubtest.")


@functools.cache
def rsa_key():
    """The one that does for a whole run, its public half in a file."""
    private, public = new_key()
    path = pathlib.Path(FOLDER.name) / "public.pem"
    path.write_bytes(public)
    return private, path


def url_of(sim):
    """Where it listens, whatever plays a provider there."""
    return f"http://127.0.0.1:{sim.port}"


def secrets():
    """The options that make a simulator know all of these."""
    return ["-k", KEY, "-a", f"{ACCESS}:{SECRET}",
            "-c", f"{CLIENT}:{CLIENT_SECRET}", "-j", str(rsa_key()[1])]


def account_file(folder, sim, **changed):
    """The key file of a service account that gets its tokens of sim."""
    path = pathlib.Path(folder) / "account.json"
    path.write_text(json.dumps({
        "type": "service_account", "project_id": PROJECT,
        "private_key_id": "sim-1", "private_key": rsa_key()[0],
        "client_email": "sim@sim-project.example",
        "token_uri": f"{url_of(sim)}/token", **changed}))
    return path


def section(kind, sim, folder):
    """The options of a provider section that reaches sim."""
    url = url_of(sim)
    if kind == "openai":
        return {"type": "openai", "base_url": f"{url}/v1", "api_key": KEY}
    if kind in ("azure", "anthropic", "google"):
        return {"type": kind, "base_url": url, "api_key": KEY}
    if kind == "entra":
        return {"type": "azure", "base_url": url, "authority": url,
                "tenant": TENANT, "client_id": CLIENT,
                "client_secret": CLIENT_SECRET}
    if kind == "vertex":
        return {"type": "google", "base_url": url, "project": PROJECT,
                "location": LOCATION,
                "service_account": str(account_file(folder, sim))}
    if kind == "metadata":
        return {"type": "google", "base_url": url, "project": PROJECT,
                "location": LOCATION, "metadata": True}
    if kind in ("instance", "container"):
        return {"type": "aws", "base_url": url, "region": REGION}
    if kind == "aws":
        return {"type": "aws", "base_url": url, "region": REGION,
                "access_key": ACCESS, "secret_key": SECRET}
    raise ValueError(kind)


def environment(kind, sim):
    """What such a section takes from the agent's environment."""
    url = url_of(sim)
    return {
        "metadata": {"GCE_METADATA_HOST": f"127.0.0.1:{sim.port}"},
        "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": url},
        "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI":
                      f"{url}/v1/credentials",
                      "AWS_CONTAINER_AUTHORIZATION_TOKEN": KEY},
    }.get(kind, {})


# One of each dialect's.
ALL = ("openai", "azure", "anthropic", "google", "aws")
