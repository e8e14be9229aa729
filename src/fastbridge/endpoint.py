"""Where the model is, by settings alone: OpenAI, a server that speaks the same, or Azure. The SDK does the rest.

OPENAI_BASE_URL names any compatible server, Azure's own `/openai/v1` too. AZURE_OPENAI_ENDPOINT means Azure's older
address, with an API version, and the model's name is that of the deployment.
"""

import openai

from fastbridge.config import Settings


def model_client(settings: Settings) -> openai.AsyncOpenAI:
    """The SDK's client for these settings, which `Settings.require_serving` has found enough."""
    if settings.azure_openai_endpoint is not None:
        key, token = settings.azure_openai_api_key, settings.azure_openai_ad_token
        endpoint = settings.azure_openai_endpoint.rstrip("/")
        # The SDK speaks wss to Azure whatever the endpoint says: a simulated one on this machine may speak ws.
        plain = f"ws{endpoint.removeprefix('http')}/openai" if endpoint.startswith("http://") else None
        return openai.AsyncAzureOpenAI(
            azure_endpoint=endpoint,
            websocket_base_url=plain,
            api_version=settings.openai_api_version,
            api_key=key.get_secret_value() if key is not None else None,
            azure_ad_token=token.get_secret_value() if token is not None else None,
        )
    key = settings.openai_api_key
    return openai.AsyncOpenAI(
        api_key=key.get_secret_value() if key is not None else "none", base_url=settings.openai_base_url
    )
