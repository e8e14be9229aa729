"""One call: what each part of it decides, and in which order the parts are told."""
