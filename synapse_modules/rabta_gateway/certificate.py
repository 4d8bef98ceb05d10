"""The gateway's own certificate: renewed in place when its files change, no restart."""

import ssl
from pathlib import Path

import structlog

from rabta_gateway.metrics import Metrics
from rabta_gateway.settings import SettingsError, SettingsFault
from rabta_gateway.watch import FileWatch

_log = structlog.get_logger("rabta.gateway.certificate")


class Certificate:
    """A server-side TLS context that follows its two files.

    Raises:
        SettingsError: If the files hold no matching pair at the start.
    """

    def __init__(self, certificate_file: Path, key_file: Path, *, metrics: Metrics) -> None:
        self._files = (certificate_file, key_file)
        self._metrics = metrics
        self._watch = FileWatch(certificate_file, key_file)
        self.context = _context()
        try:
            self.context.load_cert_chain(certificate_file, key_file)
        except (ssl.SSLError, OSError) as error:
            message = f"{certificate_file} and {key_file} are no certificate and its key ({error})"
            cure = "give the PEM chain and the PEM key that belongs to it"
            fault = SettingsFault("inbound.tls_certificate_file", message, cure)
            raise SettingsError([fault]) from error

    def poll(self) -> bool:
        """Look at the files once; take a new pair for the handshakes to come.

        Returns:
            True if a new pair was taken.
        """
        if not self._watch.changed():
            return False
        try:
            # First into a context nobody uses: a half-written pair must not reach the live one.
            _context().load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
        except (ssl.SSLError, OSError) as error:
            self._metrics.certificate_faults.inc()
            _log.error("certificate-refused", detail=str(error))
            return False
        _log.info("certificate-renewed")
        return True


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
