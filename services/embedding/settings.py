"""The embedding service's settings, read from its environment."""

import os
from pathlib import Path

from pydantic import Field

from libs.rpc.settings import MeshSettings

_PROVIDERS = "CUDAExecutionProvider,CPUExecutionProvider"
_TRUE = ("1", "ON", "YES", "TRUE")


class Settings(MeshSettings):
    model_dir: Path
    default_model: str = "all-minilm-l6-v2"
    # ONNX Runtime's providers in order of preference; those that do not work here are passed over.
    providers: str = _PROVIDERS
    memory_budget_mib: int = Field(default=2048, ge=64)
    bulk_threads: int = Field(default=0, ge=0)  # 0: one for each core
    # What a thread computes before another call has its turn; on a processor, texts are computed one by one all the same.
    batch_tokens: int = Field(default=256, ge=64)
    gpu_batch_tokens: int = Field(default=32_768, ge=64)
    # Calls of one user that run at a time; those that wait for a model to be loaded are among them.
    user_calls: int = Field(default=2, ge=1)
    bulk_queue_tokens: int = Field(default=400_000, ge=1)
    interactive_queue_tokens: int = Field(default=20_000, ge=1)
    # Whether OpenAI's face cuts texts that are longer than the model reads; its clients cannot ask for it.
    openai_truncate: bool = True
    # The hub's library reads these and its other variables itself, in the process that downloads.
    hf_hub_offline: str = ""
    transformers_offline: str = ""

    @property
    def threads(self) -> int:
        return self.bulk_threads or os.cpu_count() or 1

    @property
    def provider_order(self) -> list[str]:
        return [name.strip() for name in self.providers.split(",") if name.strip()]

    @property
    def is_offline(self) -> bool:
        """Whether nothing may be downloaded, by the words the hub's library understands."""
        return any(switch.upper() in _TRUE for switch in (self.hf_hub_offline, self.transformers_offline))

    @property
    def hub_environment(self) -> dict[str, str]:
        """The environment of a download: this process's, with plain HTTP and without telemetry."""
        return {**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
