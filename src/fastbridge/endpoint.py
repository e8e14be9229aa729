"""Where the model is, by settings alone: OpenAI, a server that speaks the same, or Azure. The SDK does the rest.

OPENAI_BASE_URL names any compatible server. AZURE_OPENAI_ENDPOINT names an Azure resource: its `/openai/v1` speaks as
OpenAI does, and the model's name is that of the deployment. (Azure's older address, with an API version, speaks the
dialect of the beta, which nobody else does any more.)
"""

import openai

from fastbridge.config import Settings


def model_client(settings: Settings) -> openai.AsyncOpenAI:
    """The SDK's client for these settings, which `Settings.require_serving` has found enough."""
    key = settings.openai_api_key
    if settings.azure_url is not None:
        key = settings.azure_openai_api_key or settings.azure_openai_ad_token
    return openai.AsyncOpenAI(
        api_key=key.get_secret_value() if key is not None else "none",
        base_url=settings.azure_url or settings.openai_base_url,
    )
