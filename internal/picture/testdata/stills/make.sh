#!/bin/sh
# Makes the files of this folder with ImageMagick 6.9.11, libheif
# 1.15.1 (x265 3.5), libavif 0.11.1 (aom 3.6.0) and python3, from
# bridge-mods_aaa-orig.jpg reduced. Run here.
set -e
t=$(mktemp -d)
draw() { convert ../bridge-mods_aaa-orig.jpg -resize "$1!" -strip -type TrueColor "png24:$2"; }
heic() { heif-enc -q 40 "$1" -o "$2" >/dev/null 2>&1; }
avif() { avifenc -s 8 --min 30 --max 40 "$@" >/dev/null; }

# One item, and one of an odd size, which heif-enc makes a grid of one.
draw 640x480 $t/640.png
draw 301x203 $t/301.png
heif-enc -q 20 $t/640.png -o single.heic >/dev/null 2>&1
heic $t/301.png odd.heic

# A grid as telephones write it, whose last tiles reach beyond the picture.
draw 384x256 $t/384.png
convert $t/384.png -crop 128x128 +repage $t/tile%d.png
for i in 0 1 2 3 4 5; do heic $t/tile$i.png $t/tile$i.heic; done
tiles="$t/tile0.heic $t/tile1.heic $t/tile2.heic $t/tile3.heic $t/tile4.heic $t/tile5.heic"
python3 grid.py grid.heic 3 2 371 241 -- $tiles
python3 grid.py turned.heic 3 2 371 241 irot=1 -- $tiles
python3 grid.py mirrored.heic 3 2 371 241 imir=0 -- $tiles
python3 grid.py both.heic 3 2 371 241 irot=3 imir=1 -- $tiles
heic $t/384.png $t/384.heic
python3 grid.py cropped.heic 0 0 384 256 clap=331,201,21,33 irot=2 -- $t/384.heic

avif -y 420 $t/301.png single.avif
avif -y 444 -d 10 $t/301.png deep.avif
avif -y 400 $t/301.png grey.avif
avif -y 420 -r limited --nclx 1/1/1 $t/301.png limited.avif
avif -y 420 -g 3x2 $t/384.png grid.avif
avif -y 420 --irot 1 --imir 0 $t/301.png turned.avif

# What libheif makes of them, as JPEG so that it is small: a hash does not mind.
for f in *.heic *.avif; do
	heif-convert $f $t/shown.png >/dev/null 2>&1
	convert $t/shown.png -strip -quality 75 "shown/$f.jpg"
done
rm -r $t
