"""Our own cross-signing identity: made once, checked at every start, never reset by itself.

Whoever verified the bridge verified its master key. A second master key would be another bridge.
So a foreign or missing key or signature stops the client; only a person with the recovery key
brings an identity to an empty disk.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select, update
from unpaddedbase64 import decode_base64, encode_base64

from rabta_bots.matrix import secret_storage, tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import mapping
from rabta_bots.matrix.sealing import read_secret, write_secret
from rabta_bots.matrix.signing import SigningKey, signed_by
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.wire import RefusedError, Wire

_USAGES = ("master", "self_signing", "user_signing")
_PLACE = "cross-signing"
_UNAUTHORISED = 401
_SEED_BYTES = 32

_log = structlog.get_logger(__name__)


class OwnIdentity:
    """The three cross-signing keys of our account and our device's place under them.

    Args:
        state: Our device; its keys are on the server already.
        wire: The homeserver.
        recovery_key_file: Written at first start with mode 0600, read after a lost disk.
        password: For the homeserver's question who we are; None when we have a token only.
    """

    def __init__(
        self, state: CryptoState, wire: Wire, *, recovery_key_file: Path, password: str | None
    ) -> None:
        self._state = state
        self._wire = wire
        self._recovery_key_file = recovery_key_file
        self._password = password
        self._user_id = state.user_id

    async def establish(self) -> None:
        """Make, restore or check the identity, and sign our device once.

        Raises:
            MatrixError: permanent `identity-not-ours`, `device-keys-differ`,
                `recovery-key-wrong`, `recovery-key-malformed`.
        """
        answer = await self._query()
        shown = self._shown(answer)
        seeds = self._load()
        if seeds is None:
            seeds = await self._restore(shown) if shown else self._make()
        keys = {usage: SigningKey(seed) for usage, seed in seeds.items()}
        if not shown:
            if self._device_was_signed():
                raise MatrixError("identity-not-ours", "the server lost it", permanent=True)
            await self._store_secrets(seeds)
            await self._upload(keys)
        elif shown != keys["master"].public:
            raise MatrixError("identity-not-ours", "another master key", permanent=True)
        if not self._device_was_signed():
            await self._sign_device(keys, await self._query())
        self._check(keys, await self._query())
        with self._state.store.transaction() as connection:
            connection.execute(update(tables.account).values(device_signed=True))

    async def check(self) -> None:
        """Check that the server still shows our identity and our device signed by it.

        Raises:
            MatrixError: permanent `identity-not-ours`, `device-keys-differ`.
        """
        seeds = self._load()
        if seeds is None:
            raise MatrixError("identity-not-ours", "no keys held", permanent=True)
        self._check({u: SigningKey(seed) for u, seed in seeds.items()}, await self._query())

    def device_keys(self) -> dict[str, Any]:
        """Give our device keys signed by the device and by our self-signing key (MSC4147)."""
        seeds = self._load()
        if seeds is None:
            raise MatrixError("identity-not-ours", "no keys held", permanent=True)
        keys = self._state.machine.device_keys()
        signer = SigningKey(seeds["self_signing"])
        keys["signatures"][self._user_id][signer.key_id] = signer.sign(keys)
        return keys

    # -- the keys we hold -----------------------------------------------------------------------

    def _load(self) -> dict[str, bytes] | None:
        with self._state.store.transaction() as connection:
            sealed = connection.execute(select(tables.account.c.cross_signing)).scalar_one()
        if sealed is None:
            return None
        held = json.loads(self._state.store.seal.open(_PLACE, sealed))
        return {usage: decode_base64(held[usage]) for usage in _USAGES}

    def _save(self, seeds: Mapping[str, bytes]) -> None:
        text = json.dumps({usage: encode_base64(seed) for usage, seed in seeds.items()})
        with self._state.store.transaction() as connection:
            sealed = self._state.store.seal.seal(_PLACE, text)
            connection.execute(update(tables.account).values(cross_signing=sealed))

    def _make(self) -> dict[str, bytes]:
        # Saved before anything is published, so that a crash can not orphan a published key.
        seeds = {usage: os.urandom(_SEED_BYTES) for usage in _USAGES}
        self._recovery_key()
        self._save(seeds)
        _log.info("identity-made", user_id=self._user_id)
        return seeds

    def _recovery_key(self) -> bytes:
        if not self._recovery_key_file.exists():
            key = os.urandom(_SEED_BYTES)
            write_secret(self._recovery_key_file, secret_storage.encode_recovery_key(key))
            _log.warning("recovery-key-written", file=str(self._recovery_key_file))
        return secret_storage.decode_recovery_key(read_secret(self._recovery_key_file))

    # -- secret storage ---------------------------------------------------------------------------

    async def _store_secrets(self, seeds: Mapping[str, bytes]) -> None:
        key = self._recovery_key()
        key_id = encode_base64(os.urandom(12), urlsafe=True)
        await self._put(f"m.secret_storage.key.{key_id}", secret_storage.describe(key))
        for usage, seed in seeds.items():
            name = f"m.cross_signing.{usage}"
            sealed = secret_storage.encrypt(key, name, encode_base64(seed))
            await self._put(name, {"encrypted": {key_id: sealed}})
        await self._put("m.secret_storage.default_key", {"key": key_id})

    async def _restore(self, shown: str) -> dict[str, bytes]:
        """Bring back the seeds of the identity the server shows, with the recovery key."""
        if not self._recovery_key_file.exists():
            raise MatrixError(
                "identity-not-ours",
                f"the account has an identity and {self._recovery_key_file} is not there",
                permanent=True,
            )
        key = secret_storage.decode_recovery_key(read_secret(self._recovery_key_file))
        key_id = str((await self._get("m.secret_storage.default_key")).get("key"))
        if not secret_storage.recognises(key, await self._get(f"m.secret_storage.key.{key_id}")):
            raise MatrixError("recovery-key-wrong", permanent=True)
        seeds = {}
        for usage in _USAGES:
            name = f"m.cross_signing.{usage}"
            stored = mapping((await self._get(name)).get("encrypted"))
            sealed = mapping(stored.get(key_id))
            seeds[usage] = decode_base64(secret_storage.decrypt(key, name, sealed))
        if SigningKey(seeds["master"]).public != shown:
            raise MatrixError("identity-not-ours", "secret storage is older", permanent=True)
        self._save(seeds)
        _log.warning("identity-restored", user_id=self._user_id)
        return seeds

    async def _put(self, event_type: str, content: Mapping[str, Any]) -> None:
        await self._wire.call(
            "PUT", "user", self._user_id, "account_data", event_type, body=content
        )

    async def _get(self, event_type: str) -> dict[str, Any]:
        try:
            return await self._wire.call("GET", "user", self._user_id, "account_data", event_type)
        except RefusedError as refused:
            if refused.reason == "not-found":
                return {}
            raise

    # -- the server ------------------------------------------------------------------------------

    async def _query(self) -> dict[str, Any]:
        return await self._wire.call(
            "POST", "keys", "query", body={"device_keys": {self._user_id: []}}
        )

    def _shown(self, answer: Mapping[str, Any]) -> str:
        """Give the master key the server shows for us, or an empty text."""
        master = mapping(mapping(answer.get("master_keys")).get(self._user_id))
        return next((str(key) for key in mapping(master.get("keys")).values()), "")

    async def _upload(self, keys: Mapping[str, SigningKey]) -> None:
        """Publish the keys (recipe 2.3: unpadded base64 everywhere)."""
        master = keys["master"]
        objects: dict[str, dict[str, Any]] = {
            usage: {"user_id": self._user_id, "usage": [usage], "keys": {key.key_id: key.public}}
            for usage, key in keys.items()
        }
        for usage, value in objects.items():
            key_id, signature = (
                (
                    f"ed25519:{self._state.device_id}",
                    self._state.machine.sign_json(value),
                )
                if usage == "master"
                else (master.key_id, master.sign(value))
            )
            value["signatures"] = {self._user_id: {key_id: signature}}
        body: dict[str, Any] = {f"{usage}_key": value for usage, value in objects.items()}
        try:
            await self._wire.call("POST", "keys", "device_signing", "upload", body=body)
        except RefusedError as refused:
            if refused.status != _UNAUTHORISED or self._password is None:
                raise
            # User-interactive authentication (spec): the same call again, saying who we are.
            body["auth"] = {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": self._user_id},
                "password": self._password,
                "session": refused.body.get("session"),
            }
            await self._wire.call("POST", "keys", "device_signing", "upload", body=body)

    async def _sign_device(self, keys: Mapping[str, SigningKey], answer: Mapping[str, Any]) -> None:
        device = self._own_device(answer)
        bare = {
            key: value for key, value in device.items() if key not in ("signatures", "unsigned")
        }
        signer = keys["self_signing"]
        bare["signatures"] = {self._user_id: {signer.key_id: signer.sign(bare)}}
        result = await self._wire.call(
            "POST",
            "keys",
            "signatures",
            "upload",
            body={self._user_id: {self._state.device_id: bare}},
        )
        if mapping(result.get("failures")):
            raise MatrixError("device-signature-refused", permanent=True)

    def _own_device(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give our device as the server shows it, if its keys are the ones we hold."""
        devices = mapping(mapping(answer.get("device_keys")).get(self._user_id))
        device = mapping(devices.get(self._state.device_id))
        shown, held = mapping(device.get("keys")), self._state.machine.account.identity_keys
        # Never sign what the server says: only what we know to be ours.
        if any(shown.get(f"{kind}:{self._state.device_id}") != key for kind, key in held.items()):
            raise MatrixError("device-keys-differ", self._state.device_id, permanent=True)
        return device

    def _check(self, keys: Mapping[str, SigningKey], answer: Mapping[str, Any]) -> None:
        """Check the chain device -> self-signing -> master as every other client does."""
        master, signer = keys["master"], keys["self_signing"]
        shown = mapping(mapping(answer.get("self_signing_keys")).get(self._user_id))
        if self._shown(answer) != master.public:
            raise MatrixError("identity-not-ours", "another master key", permanent=True)
        if mapping(shown.get("keys")) != {signer.key_id: signer.public} or not signed_by(
            shown, self._user_id, master.key_id, master.public
        ):
            raise MatrixError("identity-not-ours", "another self-signing key", permanent=True)
        if not signed_by(self._own_device(answer), self._user_id, signer.key_id, signer.public):
            raise MatrixError("identity-not-ours", "our device is not signed", permanent=True)

    def _device_was_signed(self) -> bool:
        with self._state.store.transaction() as connection:
            return bool(connection.execute(select(tables.account.c.device_signed)).scalar_one())
