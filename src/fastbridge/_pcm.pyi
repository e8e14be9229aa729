"""Linear PCM sent where mu-law was agreed on: told by its bytes, whatever is said, how loud and how fast."""

class PcmWatch:
    """One item at a time, in pieces of any size: the verdict does not depend on where they are cut.

    Blocks of 1024 bytes are judged, from the item's beginning on; two of the last eight decide. 16-bit PCM of either
    byte order at 8 to 24 kHz is noticed; silence is neither the one nor the other; what comes of an item behind the
    verdict is not looked at. A-law is not noticed: it sounds like speech, and a steady tone in mu-law like A-law.
    """

    def begin(self) -> None:
        """Another item begins."""
    def feed(self, audio: bytes) -> bool:
        """The next bytes of the item. True once: with them it is known to be PCM."""
