"""What a refusal carries, through the real mesh."""

import httpx
import pytest

from semantik.client import SemantikError
from tests.conftest import Person


async def test_a_refusal_names_its_reason_field_and_correlation(ada: Person) -> None:
    """Whoever asks for help can quote an id that stands in the logs."""
    with pytest.raises(SemantikError) as caught:
        await ada.client.collections.get("not-a-uuid")
    assert (caught.value.code, caught.value.reason, caught.value.field) == ("INVALID_ARGUMENT", "INVALID_REQUEST", "collection_id")
    assert len(caught.value.correlation_id) == 32


async def test_a_correlation_id_given_comes_back_on_both_ends(ada: Person, http: httpx.AsyncClient) -> None:
    """The gateway passes the caller's id in and out."""
    for path, status in (("/v1/users/me", 200), ("/v1/collections/nonsense", 400)):
        response = await http.get(path, headers={**ada.headers, "x-correlation-id": "my-trace-1"})
        assert (response.status_code, response.headers["x-correlation-id"]) == (status, "my-trace-1")
