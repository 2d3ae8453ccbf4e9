"""What made the embedded checkpoint: `python -m training.train`. Not installed with the package.

Scenes are painted beforehand (`corpus`), and what is true of each is kept in location bins
(`truth`). A step draws some of them (`batches`), and for each some questions (`lessons`) with the
right answers (`exchanges`, `captions`). `learning` holds the step, with its losses (`losses`,
`cells`) and the weights that a run begins with (`initialisation`); `tokenizer` and `checkpoint`
hold what the model is made of and how it is saved. `validation` measures it while it learns, by
asking it directly (`asking`).
"""
