"""Both storage ports on S3: written-once files under compliance locks, and the register by conditional writes.

Path-style addresses, Signature V4, Content-MD5 with every write (Object Lock asks for it). A file that is written once is
put with ``If-None-Match: *``; where the server does not honour that (Ceph does not in versioned buckets), what is there is
read before. In a versioned bucket old versions of the few files that change are deleted as they are replaced.
"""

import base64
import datetime as dt
import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import botocore.config
import botocore.exceptions
import botocore.session

from magistrate.adapters.recorder.storage import (
    WITHIN_S,
    Altered,
    Retained,
    S3Place,
    StoreUnavailable,
    checked,
    written_once,
)
from magistrate.exchange.errors import ConfigurationError

CONNECT_WITHIN_S = 3.0
ATTEMPTS = 2
LARGEST = (1 << 30) + (1 << 20)
"""Bytes of one object: the largest single body, and room."""

DELETED_AT_ONCE = 1000
PROBE = "probe"
DAY = dt.timedelta(days=1)

log = logging.getLogger("magistrate.recorder")


class _Unmet(Exception):  # noqa: N818  because it is no error: the condition of a write did not hold
    pass


class S3Objects:
    """The `Files` of a log in a bucket. ``days``: what each retention class is kept; without it, to read only.

    Raises:
        ConfigurationError: the bucket is missing, or has no Object Lock where the configuration asks for it.
        StoreUnavailable: it does not answer.
    """

    def __init__(self, place: S3Place, days: Mapping[str, int] | None = None) -> None:
        self._bucket = _Bucket(place)
        self._days = days or {}
        self._lock = place.lock
        self._versions: dict[str, str] = {}
        self._conditional = True
        if days is not None:
            self._conditional = self._bucket.examined(lock=place.lock)
            if not self._conditional:
                log.warning("the store ignores `If-None-Match` here: what is there is read before a write")

    def get(self, path: str) -> bytes | None:
        """Return the file, or None if there is none. Raises `StoreUnavailable`."""
        found = self._bucket.get(path)
        return found[0] if found else None

    def put(self, path: str, data: bytes) -> None:
        """Keep the file. The same bytes again are fine.

        Raises:
            StoreUnavailable: nobody knows whether it is kept.
            Altered: other bytes are kept at a path that is written once.
        """
        if not written_once(path):
            self._overwrite(path, data)
        elif not self._conditional:
            if not self._holds(path, data):
                self._bucket.put(path, data, until=self._until(path))
        else:
            try:
                self._bucket.put(path, data, until=self._until(path), IfNoneMatch="*")
            except _Unmet:
                if not self._holds(path, data):
                    raise StoreUnavailable(f"`{path}` was written at the same moment") from None

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Keep each file. Raises what `put` raises."""
        for path, data in files.items():
            self.put(path, data)

    def children(self, path: str) -> list[str]:
        """Return the names directly below a path."""
        return sorted(self._bucket.children(path))

    def replace(self, path: str, data: bytes) -> bool:
        """Put other bytes in place and delete the old ones; False: they are locked."""
        if self._bucket.locked(path):
            return False
        old = self._bucket.versions(path)
        self._bucket.put(path, data)
        self._bucket.delete([one for one in old if one["VersionId"] != "null"])
        return True

    def remove(self, path: str) -> None:
        """Remove a file with all its versions. Raises `Retained`."""
        self._bucket.delete(self._bucket.versions(path))

    def remove_below(self, path: str) -> None:
        """Remove all files below a path with all their versions. Raises `Retained`."""
        self._bucket.delete(self._bucket.versions(f"{path}/", exact=False))

    def close(self) -> None:
        self._bucket.close()

    def _holds(self, path: str, data: bytes) -> bool:
        kept = self.get(path)
        if kept is not None and kept != data:
            raise Altered(path)
        return kept is not None

    def _overwrite(self, path: str, data: bytes) -> None:
        before = self._versions.get(path)
        version = self._bucket.put(path, data)
        if version:
            self._versions[path] = version
            if before:
                try:
                    self._bucket.delete([{"Key": self._bucket.key(path), "VersionId": before}])
                except OSError as error:
                    log.info("an old version of `%s` stays: %s", path, error)

    def _until(self, path: str) -> dt.datetime | None:
        """Return how long a file is locked: a body as its class says, a full tile as long as any class, others not."""
        if not self._lock or ".p/" in path:
            return None
        longest = max(self._days.values(), default=1)
        if path.startswith("body/"):
            _, _, retention, day, _ = path.split("/")
            # A whole day more: pruning, too, waits until everything of the day has been kept.
            begun = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC) + DAY
            until = begun + self._days.get(retention, longest) * DAY
            return until if until > dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1) else None
        return dt.datetime.now(dt.UTC) + longest * DAY


class S3Register:
    """The `Register` in one object, swapped with ``If-Match``.

    Raises:
        ConfigurationError: the server ignores conditions, so that it could not keep two recorders apart.
        StoreUnavailable: it does not answer.
    """

    PATH = "register"

    def __init__(self, place: S3Place) -> None:
        self._bucket = _Bucket(place)
        honoured = self._bucket.examined(lock=False)
        self._quoted = self._bucket.takes_quotes() if honoured else None
        if self._quoted is None:
            self._bucket.close()
            raise ConfigurationError(
                f"{place!r} ignores conditional writes and cannot hold the register; name an unversioned bucket, or PostgreSQL",
                "evidence.register",
            )

    def read(self) -> bytes:
        """Return the newest signed checkpoint; empty before the first. Raises `StoreUnavailable`."""
        found = self._bucket.get(self.PATH)
        return found[0] if found else b""

    def swap(self, old: bytes, new: bytes) -> bool:
        """Put ``new`` in place of ``old``; False if ``old`` is not there any more. Raises `StoreUnavailable`."""
        found = self._bucket.get(self.PATH)
        if (found[0] if found else b"") != old:
            return False
        try:
            if found:
                self._bucket.put(self.PATH, new, IfMatch=found[1] if self._quoted else found[1].strip('"'))
            else:
                self._bucket.put(self.PATH, new, IfNoneMatch="*")
        except _Unmet:
            # A write that was tried again, by the SDK or within the server, meets what it wrote itself.
            return self.read() == new
        return True

    def close(self) -> None:
        self._bucket.close()


class _Bucket:
    """The requests we make, with every failure told as `StoreUnavailable`, in one sentence without a secret."""

    def __init__(self, place: S3Place) -> None:
        self._place = place
        session = botocore.session.get_session()
        if place.access_key:
            session.set_credentials(place.access_key, place.secret_key)
        try:
            self._client: Any = session.create_client(
                "s3",
                region_name=place.region or None,
                endpoint_url=place.endpoint or None,
                verify=place.ca or None,
                config=botocore.config.Config(
                    s3={"addressing_style": "path"},
                    connect_timeout=CONNECT_WITHIN_S,
                    read_timeout=WITHIN_S,
                    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                    # Content-MD5 is what every server knows; the newer trailing checksums are not.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        except (ValueError, botocore.exceptions.BotoCoreError) as error:
            raise ConfigurationError(f"{place!r} cannot be asked: {str(error)[:200]}", "evidence") from None

    def key(self, path: str) -> str:
        return self._place.prefix + checked(path)

    def examined(self, *, lock: bool) -> bool:
        """Return whether the bucket honours conditional writes.

        Raises:
            ConfigurationError: it is missing, or cannot lock although it should.
        """
        try:
            with _told(self._place):
                self._client.head_bucket(Bucket=self._place.bucket)
                if lock:
                    self._client.get_object_lock_configuration(Bucket=self._place.bucket)
            return self._honours_conditions()
        except StoreUnavailable as error:
            self.close()
            what = {
                "404": "is missing",
                "NoSuchBucket": "is missing",
                "ObjectLockConfigurationNotFoundError": "has no Object Lock; make one with it, or write `lock: none`",
            }.get(_code(error))
            if what is None:
                raise
            raise ConfigurationError(f"bucket `{self._place.bucket}` {what}", "evidence") from None

    def _honours_conditions(self) -> bool:
        """Write twice what must be written once."""
        probe = f"{PROBE}-{time.time_ns()}"
        self.put(probe, b"")
        try:
            self.put(probe, b"", IfNoneMatch="*")
        except _Unmet:
            return True
        else:
            return False
        finally:
            self.delete(self.versions(probe))

    def takes_quotes(self) -> bool | None:
        """Return whether ``If-Match`` takes an ETag with its quotes, as HTTP says, or without (Ceph 16); None: neither."""
        probe = f"{PROBE}-{time.time_ns()}"
        try:
            for quoted in (True, False):
                self.put(probe, b"1")
                _, etag = self.get(probe) or (b"", "")
                matching = etag if quoted else etag.strip('"')
                try:
                    self.put(probe, b"2", IfMatch=matching)
                except _Unmet:
                    continue
                try:
                    self.put(probe, b"3", IfMatch=matching)
                except _Unmet:
                    return quoted
            return None
        finally:
            self.delete(self.versions(probe))

    def get(self, path: str) -> tuple[bytes, str] | None:
        """Return bytes and ETag, or None."""
        try:
            with _told(self._place):
                answer = self._client.get_object(Bucket=self._place.bucket, Key=self.key(path))
                data = answer["Body"].read(LARGEST + 1)
        except StoreUnavailable as error:
            if _code(error) in {"NoSuchKey", "404"}:
                return None
            raise
        if len(data) > LARGEST:
            raise StoreUnavailable(f"`{path}` has more bytes than a file of ours can have")
        return data, str(answer["ETag"])

    def put(self, path: str, data: bytes, until: dt.datetime | None = None, **condition: str) -> str:
        """Write, and return the version if there is one. Raises `_Unmet`."""
        locked = (
            {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until} if until is not None else {}
        )
        with _told(self._place):
            answer = self._client.put_object(
                Bucket=self._place.bucket,
                Key=self.key(path),
                Body=data,
                ContentMD5=base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
                **locked,
                **condition,
            )
        return str(answer.get("VersionId") or "")

    def locked(self, path: str) -> bool:
        """Return whether the newest version may not be deleted yet."""
        with _told(self._place):
            head = self._client.head_object(Bucket=self._place.bucket, Key=self.key(path))
        until = head.get("ObjectLockRetainUntilDate")
        return head.get("ObjectLockLegalHoldStatus") == "ON" or (
            until is not None and until > dt.datetime.now(dt.UTC)
        )

    def children(self, path: str) -> Iterator[str]:
        prefix = self.key(f"{path}/")
        with _told(self._place):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._place.bucket, Prefix=prefix, Delimiter="/"):
                yield from (one["Prefix"][len(prefix) : -1] for one in page.get("CommonPrefixes", ()))
                yield from (one["Key"][len(prefix) :] for one in page.get("Contents", ()))

    def versions(self, path: str, *, exact: bool = True) -> list[dict[str, str]]:
        """Return every version of a file, or of all files whose path begins so."""
        key = self.key(path)
        with _told(self._place):
            pages = self._client.get_paginator("list_object_versions")
            return [
                {"Key": one["Key"], "VersionId": one["VersionId"]}
                for page in pages.paginate(Bucket=self._place.bucket, Prefix=key)
                for one in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                if not exact or one["Key"] == key
            ]

    def delete(self, versions: list[dict[str, str]]) -> None:
        """Delete versions. Raises `Retained` if one of them is locked."""
        for at in range(0, len(versions), DELETED_AT_ONCE):
            with _told(self._place):
                answer = self._client.delete_objects(
                    Bucket=self._place.bucket,
                    Delete={"Objects": versions[at : at + DELETED_AT_ONCE], "Quiet": True},
                )
            for error in answer.get("Errors", ()):
                if error.get("Code") == "AccessDenied":
                    raise Retained(
                        f"the store keeps `{error.get('Key')}`: it is locked, or may not be deleted"
                    )
                raise StoreUnavailable(f"`{error.get('Key')}` was not deleted: {error.get('Code')}")

    def close(self) -> None:
        self._client.close()


def _code(error: StoreUnavailable) -> str:
    """Return the server's word for it; empty if it said none."""
    told = getattr(error.__cause__, "response", None) or {}
    return str(told.get("Error", {}).get("Code", ""))


@contextmanager
def _told(place: S3Place) -> Iterator[None]:
    try:
        yield
    except botocore.exceptions.ClientError as error:
        told = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in {409, 412} and error.operation_name == "PutObject":
            raise _Unmet from None
        why = f"{error.operation_name} is answered with {told.get('Code') or status} {told.get('Message') or ''}"
        raise StoreUnavailable(f"{place!r}: {why.strip()[:200]}") from error
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.HTTPClientError, OSError) as error:
        if isinstance(error, StoreUnavailable | Retained):
            raise
        raise StoreUnavailable(f"{place!r}: {str(error)[:200] or type(error).__name__}") from error
