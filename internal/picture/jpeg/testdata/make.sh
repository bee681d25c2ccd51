#!/bin/sh
# Makes pictures.tar.gz and djpeg.tsv. Needs djpeg and cjpeg of libjpeg-turbo
# 2.1.5, ImageMagick 6, ffmpeg and GNU tar. Run it here.
set -eu
here=$PWD
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cd "$work"
mkdir pictures

djpeg "$here/bridge-512.jpg" >source.ppm
crop() { convert source.ppm -crop "$1x$2+200+150" +repage "$1x$2.ppm"; }

cat >separate <<'S'
0;
1;
2;
S
cat >chroma-first <<'S'
1 2;
0;
S
cat >exact-at-once <<'S'
0: 0-0, 0, 0;
1 2: 0-0, 0, 0;
0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;
S
cat >many-refinements <<'S'
0,1,2: 0-0, 0, 3;
0,1,2: 0-0, 3, 2;
0: 1-5, 0, 3; 0: 6-63, 0, 2;
1: 1-63, 0, 0; 2: 1-63, 0, 0;
0,1,2: 0-0, 2, 1;
0: 1-5, 3, 2; 0: 1-63, 2, 1; 0: 1-63, 1, 0;
0,1,2: 0-0, 1, 0;
S

n=0
# encode NAME SAMPLING OPTION…: sizes and qualities go round, so that all meet
encode() {
	mode=$1; sampling=$2; shift 2
	set -- "$@" -sample "$sampling"
	n=$((n + 1))
	size=$(echo 1x1 2x3 7x9 8x8 9x16 15x17 16x16 17x33 31x24 33x40 40x31 39x37 37x5 | cut -d' ' -f$((n % 13 + 1)))
	quality=$(echo 5 25 50 75 85 92 97 100 1 90 70 | cut -d' ' -f$((n % 11 + 1)))
	crop "${size%x*}" "${size#*x}"
	cjpeg -quality "$quality" "$@" "$size.ppm" 2>>warnings >"pictures/$mode-$sampling-$size-q$quality.jpg"
}
for sampling in 1x1 2x2 2x1 1x2 4x1 4x2 2x4 3x1 3x2 2x2,2x1,1x2; do
	encode baseline $sampling
	encode optimised $sampling -optimize
	encode restart1 $sampling -restart 1B
	encode restart3 $sampling -restart 3B
	encode separate $sampling -scans separate -restart 2B
	encode chromafirst $sampling -scans chroma-first
	encode progressive $sampling -progressive
	encode progressive-restart $sampling -progressive -restart 2B
	encode exact $sampling -scans exact-at-once
	encode refined $sampling -scans many-refinements
	encode grey $sampling -grayscale -restart 5B
	encode grey-progressive $sampling -grayscale -progressive
done
convert source.ppm -crop 61x47+100+100 +repage -sampling-factor 2x2 -quality 88 -interlace plane pictures/magick-progressive.jpg
convert source.ppm -crop 61x47+100+100 +repage -colorspace gray -quality 80 pictures/magick-grey.jpg
ffmpeg -v error -i source.ppm -vf crop=75:51 -pix_fmt yuvj422p -q:v 3 pictures/ffmpeg-422.jpg
ffmpeg -v error -i source.ppm -vf crop=75:51 -pix_fmt yuvj444p -huffman default pictures/ffmpeg-444.jpg
convert source.ppm -seed 7 -attenuate 3 +noise Gaussian noise.ppm
convert noise.ppm -crop 160x120+90+90 +repage small-noise.ppm
cjpeg -quality 98 -sample 2x1 -optimize small-noise.ppm >pictures/noise.jpg
cp "$here/bridge-512.jpg" pictures/

: >"$here/djpeg.tsv"
for f in pictures/*; do
	printf '%s' "${f#pictures/}" >>"$here/djpeg.tsv"
	for scale in 1 4 8; do
		sum=$(djpeg -grayscale -dct int -scale 1/$scale "$f" | sha256sum | cut -d' ' -f1)
		printf '\t%s' "$sum" >>"$here/djpeg.tsv"
	done
	printf '\n' >>"$here/djpeg.tsv"
done
rm pictures/bridge-512.jpg
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -czf "$here/pictures.tar.gz" pictures
