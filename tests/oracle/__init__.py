"""The slow, obvious Python twins of the compiled modules, written from their `.pyi` contracts alone.

Each module here has the name (without underscore), the names and the semantics of its compiled twin. Nothing here is
fast, and nothing is clever: where the two differ, a reader must be able to see which one breaks the contract.
"""
