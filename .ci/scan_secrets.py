"""The search for secrets in what git tracks, or in the files that are named; it fails where it finds one.

Run as `python .ci/scan_secrets.py`. What is no secret says so at the end of its line: `pragma: allowlist secret`.
"""

import re
import subprocess
import sys

from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.pre_commit_hook import main

OPTIONS = [
    "--no-verify",  # nothing that is found is tried out
    *("--plugin", __file__),
    *("--disable-plugin", "Base64HighEntropyString"),  # digests are as random as secrets
    *("--disable-plugin", "HexHighEntropyString"),
    *("--disable-plugin", "KeywordDetector"),  # every text beside the word `secret` is one to it
]


class ApiKeyDetector(RegexBasedDetector):
    """Finds keys to this service."""

    secret_type = "Ganymede API key"
    denylist = (re.compile(r"(?<![\w-])gm_[\w-]{43}(?![\w-])", re.ASCII),)


class WebhookSecretDetector(RegexBasedDetector):
    """Finds what webhooks are signed with."""

    secret_type = "Standard Webhooks secret"
    denylist = (re.compile(r"whsec_[A-Za-z0-9+/]{32,}={0,2}"),)


if __name__ == "__main__":
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout.split("\0")
    sys.exit(main([*OPTIONS, *(sys.argv[1:] or filter(None, tracked))]))
