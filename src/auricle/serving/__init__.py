"""auricle as a service: an OpenAI-compatible API and a page. Needs the extra `serve`."""
