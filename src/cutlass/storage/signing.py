"""Signs requests to DynamoDB: AWS Signature Version 4, for the one shape of request that is sent.

Source: AWS, "Create a signed AWS API request" (IAM User Guide). botocore signs every shape of request and takes
several times as long (docs/decisions/0003-lean-dynamodb-client.md); a test holds both to the same signature.
"""

import hashlib
import hmac
import time
from typing import Any

_ALGORITHM = "AWS4-HMAC-SHA256"
_CONTENT_TYPE = "application/x-amz-json-1.0"


class Signer:
    """Signs `POST /` with a JSON body to one host; threads may share it.

    Parameters
    ----------
    host : str
        The host as the request names it, with its port unless that is the scheme's own.
    """

    def __init__(self, host: str, aws_region: str) -> None:
        self._host = host
        self._scope = aws_region, "dynamodb", "aws4_request"
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def headers(self, credentials: Any, target: str, body: bytes, now: float | None = None) -> dict[str, str]:
        """Return the header fields of a signed request.

        Parameters
        ----------
        credentials : botocore's ReadOnlyCredentials
            Access key, secret key and session token, which may be None.
        target : str
            The operation, with the prefix of its API.
        now : float, optional
            Seconds since 1970; the machine's time unless given.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        fields = {"content-type": _CONTENT_TYPE, "host": self._host, "x-amz-date": stamp}
        if credentials.token:
            fields["x-amz-security-token"] = credentials.token
        fields["x-amz-target"] = target  # names are in order, as the signature wants them
        names = ";".join(fields)
        canonical = "".join(f"{name}:{value}\n" for name, value in fields.items())
        request = f"POST\n/\n\n{canonical}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = "/".join((stamp[:8], *self._scope))
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._day_key(credentials.secret_key, stamp[:8]), text.encode(), "sha256").hex()
        who = f"{credentials.access_key}/{scope}"
        fields["authorization"] = f"{_ALGORITHM} Credential={who}, SignedHeaders={names}, Signature={signature}"
        return fields

    def _day_key(self, secret: str, day: str) -> bytes:
        """Derive the key of a day, once a day."""
        known = self._key
        if known[:2] != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, *self._scope):
                key = hmac.digest(key, part.encode(), "sha256")
            known = self._key = secret, day, key
        return known[2]
