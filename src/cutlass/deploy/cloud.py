"""AWS as the tool itself calls it: who is calling, states, locks, and what is deployed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import botocore.exceptions
import botocore.session
from botocore.config import Config

from cutlass.deploy.errors import CloudError
from cutlass.deploy.model import Backend, Step
from cutlass.deploy.states import Lock, State

_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 4, "mode": "standard"})
_MISSING = {"NoSuchKey", "NoSuchBucket", "404", "NotFound", "ResourceNotFoundException"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials are in use."""

    account: str
    arn: str


class Cloud:
    """One account by one set of credentials. Threads may share it.

    Parameters
    ----------
    profile : str, optional
        A profile of the AWS configuration; botocore's usual search for credentials if left out.
    """

    def __init__(self, profile: str | None = None) -> None:
        with _said("the AWS profile cannot be read"):
            self._session = botocore.session.Session(profile=profile)
            self._session.get_credentials()
        self._clients: dict[tuple[str, str], Any] = {}
        self._profile = profile

    def client(self, service: str, aws_region: str) -> Any:
        """Return a client of botocore's; raises a CloudError where there are no credentials."""
        key = (service, aws_region)
        if key not in self._clients:
            with _said(f"{service} cannot be called"):
                self._clients[key] = self._session.create_client(service, aws_region, config=_CONFIG)
        return self._clients[key]

    def caller(self, aws_region: str) -> Caller:
        """Return whose credentials are in use, as STS says.

        Raises
        ------
        CloudError
            There are none, or STS does not take them.
        """
        with _said("the credentials cannot be told"):
            told = self.client("sts", aws_region).get_caller_identity()
        return Caller(told["Account"], told["Arn"])

    def bucket_exists(self, backend: Backend, account: str) -> bool:
        """Tell whether the bucket of all state is there, and is the account's.

        Raises
        ------
        CloudError
            It is another account's, or may not be read.
        """
        with _said(f"the bucket {backend.bucket} cannot be read by account {account}"):
            try:
                self._s3(backend).head_bucket(Bucket=backend.bucket, ExpectedBucketOwner=account)
            except botocore.exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    return False
                raise
        return True

    def state(self, backend: Backend, step: Step) -> State | None:
        """Return the state of a step; None before there is one."""
        body = self._read(backend, step.state_key)
        return State.parse(body) if body else None

    def lock(self, backend: Backend, step: Step) -> Lock | None:
        """Return who holds the state of a step, from S3's lock file or else from the lock table."""
        body = self._read(backend, f"{step.state_key}.tflock")
        if body:
            return Lock.parse(body)
        if backend.lock_table is None:
            return None
        key = {"LockID": {"S": f"{backend.bucket}/{step.state_key}"}}
        with _said(f"the lock table {backend.lock_table} cannot be read"):
            try:
                dynamodb = self.client("dynamodb", backend.aws_region)
                item = dynamodb.get_item(TableName=backend.lock_table, Key=key, ConsistentRead=True).get(
                    "Item", {}
                )
            except botocore.exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
        return Lock.parse(item["Info"]["S"]) if "Info" in item else None

    def unlock(self, backend: Backend, step: Step) -> None:
        """Remove the locks of a step: the file and the item. The caller has asked for it by the lock's id."""
        with _said(f"the lock of {step} cannot be removed"):
            self._s3(backend).delete_object(Bucket=backend.bucket, Key=f"{step.state_key}.tflock")
            if backend.lock_table is not None:
                key = {"LockID": {"S": f"{backend.bucket}/{step.state_key}"}}
                self.client("dynamodb", backend.aws_region).delete_item(TableName=backend.lock_table, Key=key)

    def read_note(self, backend: Backend, name: str) -> dict[str, Any] | None:
        """Return a note beside the states, which every operator of the account sees; None if there is none."""
        body = self._read(backend, f"deployments/{name}.json")
        if body is None:
            return None
        value: dict[str, Any] = json.loads(body)
        return value

    def write_note(self, backend: Backend, name: str, value: dict[str, Any]) -> None:
        """Keep a note beside the states."""
        body = json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
        with _said(f"the note {name} cannot be written"):
            self._s3(backend).put_object(Bucket=backend.bucket, Key=f"deployments/{name}.json", Body=body)

    def delete_note(self, backend: Backend, name: str) -> None:
        """Remove a note."""
        with _said(f"the note {name} cannot be removed"):
            self._s3(backend).delete_object(Bucket=backend.bucket, Key=f"deployments/{name}.json")

    def call(self, service: str, aws_region: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer of any operation of AWS, by botocore's name of it.

        Raises
        ------
        CloudError
            AWS refused, or did not answer.
        """
        with _said(f"{operation} failed in {aws_region}"):
            answer: dict[str, Any] = getattr(self.client(service, aws_region), operation)(**parameters)
        return answer

    def _s3(self, backend: Backend) -> Any:
        return self.client("s3", backend.aws_region)

    def _read(self, backend: Backend, key: str) -> bytes | None:
        with _said(f"{key} cannot be read"):
            try:
                answer = self._s3(backend).get_object(Bucket=backend.bucket, Key=key)
                body: bytes = answer["Body"].read()
            except botocore.exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
        return body


def _code(error: botocore.exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Turn botocore's errors into one line with a hint."""
    try:
        yield
    except botocore.exceptions.NoCredentialsError:
        hint = "give credentials of the environment's account: AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret"
        raise CloudError(f"{what}: there are no AWS credentials", hint=hint) from None
    except botocore.exceptions.ProfileNotFound as error:
        raise CloudError(f"{what}: {error}", hint="`aws configure list-profiles` shows those there are") from None
    except botocore.exceptions.ClientError as error:
        told = error.response.get("Error", {})
        hint = "may the credentials do this? `cutlass doctor` looks" if _code(error) in _FORBIDDEN else ""
        raise CloudError(f"{what}: {told.get('Code')}: {told.get('Message')}", hint=hint or None) from None
    except botocore.exceptions.BotoCoreError as error:
        raise CloudError(f"{what}: {error}", hint="is AWS reached from here?") from None


_FORBIDDEN = {"403", "AccessDenied", "AccessDeniedException", "Forbidden", "ExpiredToken", "InvalidClientTokenId"}
