"""Missing data: several completed files from one with gaps, and one answer from several.

`Imputer` draws every missing cell given all that its row shows; `combine` puts the estimates from the completed files
together by Rubin's rules.
"""

from microplex.imputation.combining import Combined, combine
from microplex.imputation.diagnostics import Diagnostics
from microplex.imputation.imputer import Imputer
from microplex.imputation.result import Imputed

__all__ = ["Combined", "Diagnostics", "Imputed", "Imputer", "combine"]
