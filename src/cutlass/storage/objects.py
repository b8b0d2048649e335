"""Objects by their keys: in a bucket, or in a folder of the same layout.

A bucket is spoken to over urllib3, signed by botocore, whose own clients would bring the models of every service
(docs/decisions/0003-lean-dynamodb-client.md). Source: AWS, "Amazon S3 API Reference".
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cutlass.domain.errors import NotFoundError, UnavailableError
from cutlass.storage.transport import find_credentials

_CONNECTIONS = 32
_TIMEOUT = urllib3.Timeout(connect=2.0, read=30.0)
_RETRIES = 4
_OK, _NOT_FOUND, _CONFLICT, _EXISTS = 200, 404, 409, 412
_TRANSIENT = {500, 502, 503, 504, 429}
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a listing: its key, and its size in bytes."""

    key: str
    size: int


class Objects(Protocol):
    """What keeps objects. Each call may raise `UnavailableError`."""

    @property
    def name(self) -> str:
        """Where they are, as a URL or path."""

    def list(self, prefix: str) -> Iterator[Listed]:
        """Give the objects whose keys begin with a prefix, in the order of keys."""

    def get(self, key: str) -> bytes:
        """Return an object whole; raises `NotFoundError` where there is none."""

    def put(self, key: str, data: bytes, *, only_new: bool = False) -> bool:
        """Write an object whole; with `only_new` only where there is none, else False."""

    def delete(self, key: str) -> None:
        """Take an object away, if it is there."""

    def path(self, key: str) -> Path | None:
        """Return the object's file where it is one on this machine."""


class Folder:
    """Objects as files below a folder; each appears whole or not at all.

    Parameters
    ----------
    root : Path
        The folder, which is made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.name = str(root)

    def list(self, prefix: str) -> Iterator[Listed]:
        """Give the files whose keys begin with a prefix, in the order of keys."""
        at = self._root / prefix
        below = at if prefix.endswith("/") or not prefix else at.parent
        found = [path for path in below.rglob("*") if path.is_file()] if below.is_dir() else []
        keys = sorted((path.relative_to(self._root).as_posix(), path) for path in found)
        for key, path in keys:
            if key.startswith(prefix) and not path.name.startswith("."):
                yield Listed(key, path.stat().st_size)

    def get(self, key: str) -> bytes:
        """Return a file's content."""
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"there is no object {key}") from None

    def put(self, key: str, data: bytes, *, only_new: bool = False) -> bool:
        """Write a file beside its place, then put it there."""
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
        partial.write_bytes(data)
        try:
            if only_new:
                target.hardlink_to(partial)  # unlike a rename, this fails where there is one
                return True
            partial.replace(target)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
        return True

    def delete(self, key: str) -> None:
        """Take a file away."""
        (self._root / key).unlink(missing_ok=True)

    def path(self, key: str) -> Path | None:
        """Return the file."""
        return self._root / key


class Bucket:
    """An S3 bucket; threads may share it.

    Parameters
    ----------
    endpoint : str, optional
        Where S3 is, when not at AWS's own address; the bucket's name then leads the path.
    """

    def __init__(
        self,
        bucket: str,
        aws_region: str,
        *,
        endpoint: str | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.name = f"s3://{bucket}"
        self._base = f"{endpoint}/{bucket}" if endpoint else f"https://{bucket}.s3.{aws_region}.amazonaws.com"
        self._region = aws_region
        self._credentials = credentials
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS)

    def list(self, prefix: str) -> Iterator[Listed]:
        """Give the objects whose keys begin with a prefix, page by page."""
        token: dict[str, str] = {}
        while True:
            query = {"list-type": "2", "prefix": prefix, "max-keys": str(_PAGE), **token}
            answer = ET.fromstring(self._send("GET", "", query=query).data)  # noqa: S314 (S3's own answer)
            for entry in answer.findall("{*}Contents"):
                yield Listed(entry.findtext("{*}Key") or "", int(entry.findtext("{*}Size") or 0))
            following = answer.findtext("{*}NextContinuationToken")
            if not following:
                return
            token = {"continuation-token": following}

    def get(self, key: str) -> bytes:
        """Return an object whole."""
        return self._send("GET", key).data

    def put(self, key: str, data: bytes, *, only_new: bool = False) -> bool:
        """Write an object; of two that write a new one at once, one is told False."""
        headers = {"content-type": "application/octet-stream"} | ({"if-none-match": "*"} if only_new else {})
        answer = self._send("PUT", key, data=data, headers=headers, also=(_EXISTS, _CONFLICT) if only_new else ())
        return answer.status == _OK

    def delete(self, key: str) -> None:
        """Take an object away; an older version stays in a bucket that keeps them."""
        self._send("DELETE", key, also=(204, _NOT_FOUND))

    def path(self, key: str) -> Path | None:
        """Return None: its objects are elsewhere."""
        del key
        return None

    def _send(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes = b"",
        headers: Mapping[str, str] | None = None,
        also: tuple[int, ...] = (),
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, again while the fault may pass; `also` are answers that are no failures."""
        url = f"{self._base}/{quote(key)}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        if self._credentials is None:
            self._credentials = find_credentials()
        what = f"{method} {self.name}/{key}"
        failure = ""
        for attempt in range(_RETRIES):
            time.sleep(0.1 * (2**attempt - 1))
            request = AWSRequest(method=method, url=url, data=data, headers=dict(headers or {}))
            S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
            signed = {name: str(value) for name, value in request.headers.items()}
            try:
                answer = self._pool.request(
                    method, url, body=data or None, headers=signed, timeout=_TIMEOUT, retries=False, redirect=False
                )
            except urllib3.exceptions.HTTPError as error:
                failure = type(error).__name__
                continue
            if answer.status == _OK or answer.status in also:
                return answer
            if answer.status == _NOT_FOUND:
                raise NotFoundError(f"there is no object {key} in {self.name}")
            failure = f"{answer.status} {answer.data[:300].decode(errors='replace')}"
            if answer.status not in _TRANSIENT:
                break
        raise UnavailableError(f"{what} failed: {failure}", hint="see that the bucket exists and allows it")


def open_objects(address: str, aws_region: str, endpoint: str | None = None) -> Objects:
    """Open `s3://bucket`, or a folder by its path."""
    if address.startswith("s3://"):
        return Bucket(address.removeprefix("s3://"), aws_region, endpoint=endpoint)
    return Folder(Path(address))
