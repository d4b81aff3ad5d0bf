"""The look for known vulnerabilities among the pinned dependencies; it fails where there is one.

Run as `python .ci/audit.py`. It asks OSV, or the service at PIP_AUDIT_OSV_URL; where that does not answer, a line says
that nothing was audited. PyPI's own service, which pip-audit asks by default, passes what an index does not describe.
"""

import os
import subprocess
import sys

import httpx

URL = os.environ.get("PIP_AUDIT_OSV_URL", "https://api.osv.dev/v1/query")
WANTED = ["-r", "constraints.txt", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
PATIENCE_SECONDS = 5
HARMLESS = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "0"}


def main() -> int:
    """Return what pip-audit does; 0 where there is nobody to ask."""
    try:
        httpx.post(URL, json=HARMLESS, timeout=PATIENCE_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        sys.stderr.write(f"Nothing was audited: {URL} does not answer ({error}).\n")
        return 0
    where = ["--vulnerability-service", "osv", "--osv-url", URL, "--timeout", str(PATIENCE_SECONDS)]
    return subprocess.run([sys.executable, "-m", "pip_audit", *WANTED, *where], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
