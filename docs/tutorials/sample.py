# %% [markdown]
# # Ten minutes: from gaze to a finding
#
# You need salprobe and nothing else: no data set, no weights, no GPU, no network. This page is a
# notebook: [its source](sample.py) opens in Jupyter (`pip install jupyterlab jupytext`) and in VS
# Code, and runs as a script.
#
# You will turn fixations into regions, score the units of a network in them, see what eight
# photographs cannot tell, and then find out something that holds.

# %%
import pandas as pd
from matplotlib import pyplot as plt

import salprobe as sp

# %% [markdown]
# ## Photographs and gaze
#
# The sample is eight photographs and masks that were drawn by hand. Its gaze is **simulated**: 15
# observers who look at the masks, at heads most. Your own data would be a folder of
# [images with a table of fixations](../howto/own-data.md).

# %%
sp.write_sample("sample")
dataset = sp.load_dataset("sample")
pd.read_csv("sample/fixations.csv").head(3)

# %% [markdown]
# ## Regions, and their categories
#
# `sp.cluster` finds where fixations are dense. The regions have no category yet. You would give
# them one [in Label Studio](../howto/label.md) or [in the terminal](../howto/review.md); here they
# take that of the mask drawn by hand which covers at least half of them.

# %%
regions = sp.cluster(dataset)
labelled = sp.transfer_labels(regions, sp.load_masks("sample/masks.json"), "by hand")
labelled.write("sample/regions.json")
labelled

# %% [markdown]
# One photograph with its fixations and regions:

# %% alt="A cat with its fixations as dots and the regions around them, outlined and named"
cat = next(one for one in dataset.stimuli if one.file_name == "chelsea.png")
gaze = labelled.fixations.of(cat.id)
names = labelled.category_of()

figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
axis.imshow(dataset.stimuli.read(cat))
axis.plot(gaze.x, gaze.y, ".", color="white", markeredgecolor="black", markersize=6)
for region in labelled.annotations:
    if region.image_id == cat.id:
        outline = region.segmentation[0]
        axis.fill(outline[::2], outline[1::2], fill=False, linewidth=2, edgecolor="orange")
        axis.text(outline[0], outline[1], names[region.category_id], backgroundcolor="white")
axis.set_axis_off()
plt.show()

# %% [markdown]
# ## Units, scored in every region
#
# The network is `gabor`: 24 log-Gabor filters on luminance, and 16 centre–surround units that
# compare red with green and blue with yellow. It has no weights to download. For another network,
# write its name: `model="vgg16"`.
#
# The NSS of a unit in a region is the mean, over the fixations in the region, of its activation
# map in standard deviations above the map's mean: 0 is no better than chance, 1 is clearly better.
# In the table: the mean NSS of each layer's ten best units.

# %%
run = sp.probe("sample/regions.json", model="gabor", out="runs/sample")
run

# %% alt="The category table as a heat map: two layers, twelve categories"
sp.draw_table(run)

# %% [markdown]
# And the unit that each category picks from each layer, over a typical photograph:

# %% alt="Two photographs, a region outlined, under the maps of the best units"
sp.draw_best_units(run, categories=["vehicle", "animal head"])

# %% [markdown]
# ## What this may tell, and what not
#
# The ten best units were chosen on the regions that they are scored in, so the numbers above are
# too high. Units that are chosen on some photographs and scored on others have an interval. Here:

# %%
columns = ["layer", "top10_mean", "top10_crossval", "top10_low", "top10_high"]
run.summary.query("category == 'object'")[columns].round(2)

# %% [markdown]
# No interval: with fewer than ten photographs of a category, salprobe gives none. And the gaze is
# simulated. Nothing about people follows from this table. The same lines on
# [OSIE](osie.md), 700 photographs with real gaze, give intervals and tests.
#
# ## A finding
#
# Not every question needs gaze. In a *search array*, one item differs from all others. salprobe
# draws such arrays with exact masks, as many as you like. Does a unit's map mark the odd one out?
#
# Two sets: the target differs in **hue**, or in **orientation**.

# %% alt="A search array: dark bars that are parallel, but for one"
layers = []
for feature in ("hue", "orientation"):
    arrays = sp.Arrays(
        features=(feature,),
        count=15,
        contrasts=(0.6, 0.8, 1.0),
        items=(16, 24, 35),
        width=480,
        height=360,
    )
    sp.write_arrays(arrays, feature)
    search = sp.popout(f"{feature}/popout.json", ["gabor"], out=f"runs/{feature}")
    layers.append(search.layers.assign(feature=feature))
shown = plt.imread(f"{feature}/0001_orientation.png")

figure, axis = plt.subplots(figsize=(4, 3), layout="constrained")
axis.imshow(shown)
axis.set_axis_off()
plt.show()

# %% [markdown]
# NMM is the mean of the activation map in the target, in standard deviations above the map's mean.
# Each value is of ten units that were chosen on two thirds of the arrays and scored on the third,
# with its 95 % interval.

# %%
found = pd.concat(layers).set_index(["layer", "feature"])[["nmm_crossval", "nmm_low", "nmm_high"]]
found.round(2)

# %% alt="NMM with intervals: filters mark both, centre–surround units hue only"
figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
for k, layer in enumerate(["log_gabor", "centre_surround"]):
    values = found.loc[layer]
    mean, low, high = values["nmm_crossval"], values["nmm_low"], values["nmm_high"]
    bars = [mean - low, high - mean]
    places = [place + 0.1 * (2 * k - 1) for place in range(len(values))]
    axis.errorbar(places, mean, yerr=bars, fmt="o", capsize=4, label=layer)
axis.axhline(0, color="grey", linewidth=1)
axis.set_xticks(range(len(values)), values.index)
axis.set_ylabel("NMM in the target")
axis.set_xlim(-0.5, 1.5)
axis.legend(loc="upper center")
plt.show()

# %% [markdown]
# **The centre–surround units mark an odd hue and are blind to an odd orientation.** The filters
# mark both: they see only grey, but hues that are equally light to the eye are not equally grey.
#
# Does it hold? Draw other arrays with `seed=1`. The values of hue move within their intervals, and
# which layer has the higher one may change. The zero stays: these units get nothing from grey bars.
#
# ## Next
#
# - [Your own images and gaze](../howto/own-data.md), [your own network](../howto/own-network.md).
# - [OSIE and an ImageNet network](osie.md): the same with real gaze.
# - [More of the search arrays](../howto/popout.md).
# - [All how-tos, by question](../howto/README.md).
