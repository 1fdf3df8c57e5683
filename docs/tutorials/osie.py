# %% [markdown]
# # OSIE: which units are for heads, and which for text?
#
# 700 photographs with real gaze of 15 people, and an ImageNet network. [This notebook's
# source](osie.py) needs OSIE (`annotate fetch osie`) and, where there is no network, a file of
# weights. With one CPU core it takes a few minutes.
#
# **A vision-language model gave the regions their categories, and no person has verified them.**
# With other labels, the numbers will differ.

# %%
import os
from pathlib import Path

import salprobe as sp

folder = Path(os.environ.get("SALPROBE_DATA", ""))
weights = folder / "weights/squeezenet1_0_imagenet_fp16.pth"
network = sp.Backbone("squeezenet1_0", str(weights) if weights.is_file() else "default")

# %%
masks = sp.load_masks("osie-sr")
masks

# %% [markdown]
# ## One forward pass for each photograph
#
# The run folder keeps every unit's score in every region. Run this again and it is read from disk.

# %% alt="The category table of SqueezeNet on OSIE as a heat map: five layers, twelve categories"
layers = ["features.3", "features.5", "features.8", "features.10", "features.12"]
run = sp.probe("osie-sr", model=network, layers=layers, out="runs/osie-squeezenet")
sp.draw_table(run)

# %% [markdown]
# ## How sure?
#
# The heat map shows units on the photographs that chose them, as the paper does: too high. These
# were chosen on two thirds of the photographs and scored on the third, with a 95 % interval.

# %%
columns = ["layer", "top10_crossval", "top10_low", "top10_high"]
run.summary.query("category == 'person head'")[columns].round(2)

# %% [markdown]
# ## For heads, or for whatever people look at?
#
# A unit may have a high NSS in heads because it marks all that is looked at. The **contrast** is
# its NSS in regions of the category less that in the other regions of the same photographs.
# `contrast_q` is a p value corrected for the number of units and categories (false discovery rate).

# %%
columns = ["layer", "unit", "mean", "contrast", "contrast_low", "contrast_high", "contrast_q"]
run.best_units("person head")[columns].head(5).round(3)

# %%
run.best_units("text")[columns].head(5).round(3)

# %% [markdown]
# Do the two share units? For each layer: how many of the ten best for heads are also among the ten
# best for text.

# %%
best = {name: run.best_units(name) for name in ("person head", "text")}
for layer in layers:
    ten = [set(table[table["layer"] == layer]["unit"][:10]) for table in best.values()]
    print(f"{layer}: {len(ten[0] & ten[1])} of 10")

# %% [markdown]
# The first layers share a few units: edges serve both. From `features.8` on, none. In
# this network, units for heads and units for text are different units.
#
# ## Is the position enough?
#
# People look at the middle, and heads are often there. `shuffled` is what the same units score at
# regions of the same category in *other* photographs: position without content.

# %%
best["person head"][["layer", "unit", "mean", "shuffled"]].head(5).round(2)

# %% [markdown]
# ## See it, and pass it on
#
# The report is a [site that opens from disk](../howto/report.md). Here it is without the
# photographs, which are not ours to pass on.

# %%
sp.write_report(run, "site", pictures=False)
sorted(path.name for path in Path("site").iterdir())

# %% [markdown]
# `sp.draw_best_units(run)` draws the maps of these units over the photographs. The paper's other
# questions about OSIE, each with its command: [the paper, figure by figure](../paper.md).
