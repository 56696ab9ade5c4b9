"""Any recording in, mono float samples at the model's rate out, whole or block by block.

libsndfile decodes WAV, FLAC, Ogg and MP3; PyAV, an optional extra, decodes what comes in a container (M4A, WebM, MP4).
Both are lenient with damaged files and return the part they could read. A transcript that silently lacks the end of a
talk is worse than none, so recordings that are visibly cut off are refused here.
"""

from auricle.audio.blocks import Blocks
from auricle.audio.reading import open_blocks, read
from auricle.audio.waveform import SourceInfo, Waveform, from_array

__all__ = ["Blocks", "SourceInfo", "Waveform", "from_array", "open_blocks", "read"]
