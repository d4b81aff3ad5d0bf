"""`make env`: draw what docker-compose.yml leaves open into .env, once. Standard library only."""

import base64
import os
import secrets
import sys
from pathlib import Path

ENV = Path(__file__).parents[1] / ".env"


def drawn() -> dict[str, str]:
    """Return every secret anew, each of 192 bits or more."""
    return {
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "GANYMEDE_FIRST_KEY": f"gm_{secrets.token_urlsafe(32)}",
        "GANYMEDE_SCRAPE_KEY": f"gm_{secrets.token_urlsafe(32)}",
        "GANYMEDE_WEBHOOK_SECRET": f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
    }


def main() -> None:
    """Write the file, for its owner alone; leave one that is there as it is."""
    try:
        descriptor = os.open(ENV, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stdout.write(f"{ENV.name} is there already and stays as it is.\n")
        return
    with open(descriptor, "w", encoding="ascii") as file:
        file.writelines(f"{name}={value}\n" for name, value in drawn().items())
    sys.stdout.write(f"Wrote {ENV.name}. GANYMEDE_FIRST_KEY in it is an admin's API key.\n")


if __name__ == "__main__":
    main()
