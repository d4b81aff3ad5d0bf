"""What draws beside the CPU: promised are images, not their bytes. Here it is a provider that leaves all to the CPU."""

import onnxruntime
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.serving.graphs import ProviderMissing
from tests.app.world import LOOPBACK, World

OTHER = "AzureExecutionProvider"
URL = "/sample?seed=1&label=3"


def service(world: World, provider: str) -> TestClient:
    return TestClient(create_app(world.settings.model_copy(update={"execution_provider": provider})), LOOPBACK)


@pytest.mark.skipif(OTHER not in onnxruntime.get_available_providers(), reason=f"needs ONNX Runtime's {OTHER}")
def test_another_provider_draws_and_its_tags_are_weak(world: World, client: TestClient) -> None:
    world.trained(100)
    usual = client.get(URL)
    with service(world, OTHER) as other:
        drawn = other.get(URL)
        assert drawn.content == usual.content
        (graph,) = other.app.state.resources.graphs._kept.values()  # type: ignore[attr-defined]
        assert graph.session.get_providers()[0] == OTHER
        tag = drawn.headers["ETag"]
        assert tag.startswith('W/"')
        assert tag.removeprefix("W/") != usual.headers["ETag"]
        for known in (tag, tag.removeprefix("W/")):
            assert other.get(URL, headers={"If-None-Match": known}).status_code == 304
        assert other.get(URL, headers={"If-None-Match": usual.headers["ETag"]}).status_code == 200


def test_a_provider_that_is_not_there_is_refused_naming_those_that_are(world: World) -> None:
    with pytest.raises(ProviderMissing, match=r"is NoSuchProvider, and ONNX Runtime has .*CPUExecutionProvider"):
        with service(world, "NoSuchProvider"):
            pass
