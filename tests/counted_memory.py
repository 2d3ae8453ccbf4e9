"""How much memory tensors take, without a device that would count it."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Counter(TorchDispatchMode):
    """Counts the bytes of the storages that are made while it is on, until each is freed."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[int, int] = {}
        """The storages that are there, by address; 0 where one was there before."""
        self._now = self.most = 0

    def __torch_dispatch__(self, run: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = args, kwargs or {}
        out = run(*args, **given[1])
        for address, storage in _storages(out).items():
            if address not in self._sizes:
                self._sizes[address] = 0 if address in _storages(given) else storage.nbytes()
                self._now += self._sizes[address]
                weakref.finalize(storage, self._free, address)
        self.most = max(self.most, self._now)
        return out

    def _free(self, address: int) -> None:
        self._now -= self._sizes.pop(address)


def _storages(values: Any) -> dict[int, torch.UntypedStorage]:
    leaves = [values] if torch.is_tensor(values) else tree_leaves(values)
    tensors = [leaf for leaf in leaves if torch.is_tensor(leaf) and not leaf.is_mkldnn]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage._cdata: storage for storage in storages}


def peak(run: Callable[[], object]) -> int:
    """The most bytes that the tensors that a function makes take at once.

    What kernels allocate for themselves is not seen.
    """
    gc.collect()
    with _Counter() as counter:
        run()
    return counter.most
