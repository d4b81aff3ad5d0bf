"""The keyring: whose key it is, remembered for a second, so that a request costs no look into the database."""

from app.memory import Memory
from store import keys
from store.database import Database
from store.keys import Key

GOOD_SECONDS = 1.0  # for which a key is believed to be good; less where the database says at once that it has changed
AWAY_SECONDS = 600.0  # the same while the database is away, through which nobody can revoke a key either


class Keyring:
    """Knows keys by their digests. Strangers, however many, hold one thread."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self._database = database
        self._memory: Memory[str, Key] = Memory(database, GOOD_SECONDS, GOOD_SECONDS, AWAY_SECONDS)

    async def holder(self, digest: str) -> Key | None:
        """Return the key whose secret has this digest; None where there is none that is good."""
        return await self._memory.find(digest, lambda: self._look(digest))

    def has_seen(self, digest: str) -> bool:
        """Tell whether the key with this digest was good when it was last looked for."""
        return digest in self._memory

    def _look(self, digest: str) -> Key | None:
        with self._database.read() as connection:
            return keys.holder(connection, digest)
