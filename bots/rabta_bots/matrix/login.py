"""Gets the account's device and access token: logs in once, and uses what it kept ever after."""

import secrets

from sqlalchemy import Engine, insert, select, update

from rabta_bots.matrix import tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import is_device_id
from rabta_bots.matrix.sealing import Seal, read_secret
from rabta_bots.matrix.settings import MatrixSettings
from rabta_bots.matrix.wire import RefusedError, Wire

_PLACE = "access-token"


async def log_in(settings: MatrixSettings, engine: Engine, seal: Seal, wire: Wire) -> str:
    """Give our device id; afterwards `wire` carries a working access token.

    Raises:
        MatrixError: permanent `login-refused`, `store-of-another-account`, `wrong-store-key`,
            `wrong-device`, and those of `read_secret`; not permanent those of `Wire.call`.
    """
    device_id, sealed = _row(settings, engine)
    if settings.access_token_file is not None:
        wire.access_token = read_secret(settings.access_token_file)
    elif sealed is not None:
        wire.access_token = seal.open(_PLACE, sealed)
    if wire.access_token is not None:
        try:
            me = await wire.call("GET", "account", "whoami")
        except RefusedError as refused:
            if refused.reason != "token-refused" or settings.password_file is None:
                raise
            wire.access_token = None
        else:
            return _own_device(settings, engine, device_id, me.get("user_id"), me.get("device_id"))
    return await _with_password(settings, engine, seal, wire, device_id)


async def _with_password(
    settings: MatrixSettings, engine: Engine, seal: Seal, wire: Wire, device_id: str
) -> str:
    if settings.password_file is None:
        raise MatrixError("login-refused", "no password file", permanent=True)
    try:
        answer = await wire.call(
            "POST",
            "login",
            body={
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": settings.user_id},
                "password": read_secret(settings.password_file),
                "device_id": device_id,
                "initial_device_display_name": "Rabta bridge",
            },
        )
    except RefusedError as refused:
        raise MatrixError("login-refused", refused.detail, permanent=True) from refused
    wire.access_token = str(answer.get("access_token"))
    with engine.begin() as connection:
        # The server may have dropped the device with its token: its keys are published and signed
        # again. They are the same keys, so nobody sees a change.
        connection.execute(
            update(tables.account).values(
                access_token=seal.seal(_PLACE, wire.access_token),
                shared=False,
                device_signed=False,
            )
        )
    return _own_device(settings, engine, device_id, answer.get("user_id"), answer.get("device_id"))


def _row(settings: MatrixSettings, engine: Engine) -> tuple[str, bytes | None]:
    """Give device id and sealed token; a device id is chosen and kept before it is used."""
    table = tables.account
    with engine.begin() as connection:
        row = connection.execute(select(table)).one_or_none()
        if row is None:
            # B10: a device id nobody else has.
            device_id = settings.device_id or f"RABTA{secrets.token_hex(6).upper()}"
            connection.execute(
                insert(table).values(
                    user_id=settings.user_id,
                    device_id=device_id,
                    shared=False,
                    device_signed=False,
                )
            )
            return device_id, None
    if row.user_id != settings.user_id:
        raise MatrixError("store-of-another-account", row.user_id, permanent=True)
    return row.device_id, row.access_token


def _own_device(
    settings: MatrixSettings, engine: Engine, kept: str, user_id: object, device_id: object
) -> str:
    if user_id != settings.user_id:
        raise MatrixError("wrong-account", str(user_id), permanent=True)
    if device_id == kept:
        return kept
    with engine.begin() as connection:
        used = connection.execute(select(tables.account.c.pickle)).scalar_one() is not None
        if used or not is_device_id(device_id):
            raise MatrixError("wrong-device", f"{device_id} is not {kept}", permanent=True)
        # A token given from outside names its own device; nothing was made for another yet.
        connection.execute(update(tables.account).values(device_id=device_id))
    return device_id
