"""huse puts images, texts and classes into one semantic space (HUSE, arXiv 1911.05978).

The public names stand in __init__.pyi, and are imported at first use: `import huse` loads no TensorFlow.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
