#!/bin/sh
# Draws the films and pictures beside it with ffmpeg 5.1. The argument is any PDF
# with a page that is small.
set -e
cd "$(dirname "$0")"
film="ffmpeg -hide_banner -loglevel error -y -f lavfi -i testsrc=size=96x64:rate=10:duration=1"
exact="-fflags +bitexact -flags:v +bitexact -map_metadata -1"
$film $exact -c:v libx264 -crf 40 plain.mp4
$film $exact -c:v libx264 -crf 40 -movflags +faststart fast.mp4
$film $exact -c:v libx264 -crf 40 -movflags +frag_keyframe+empty_moov fragments.mp4
$film $exact -r 4 -c:v mjpeg -q:v 31 camera.mov
$film $exact -c:v mpeg4 -q:v 20 phone.3gp
$film $exact -c:v mpeg4 -q:v 20 film.avi
$film $exact -c:v libx264 -crf 40 film.mkv
$film $exact -c:v libvpx-vp9 -crf 60 film.webm
# A recording that was never finished: no sizes, no index.
$film $exact -c:v libvpx-vp9 -crf 60 -f webm -live 1 pipe:1 > live.webm
$film $exact -frames:v 1 -c:v libwebp -quality 20 lossy.webp
$film $exact -frames:v 1 -c:v libwebp -lossless 1 lossless.webp
$film $exact -frames:v 3 -c:v libwebp_anim -quality 20 moving.webp
$film $exact -frames:v 1 -c:v libaom-av1 -crf 50 -still-picture 1 still.avif
# Pictures of libjpeg-turbo 2.1 and a linearised document of qpdf 11.
$film -frames:v 1 -f image2 -c:v ppm -pix_fmt rgb24 /tmp/still.ppm
cjpeg -quality 60 -progressive -optimize /tmp/still.ppm > progressive.jpg
cjpeg -quality 60 -restart 1 /tmp/still.ppm > restarts.jpg
cjpeg -quality 60 -arithmetic /tmp/still.ppm > arithmetic.jpg
cjpeg -quality 60 -progressive -restart 2 -sample 2x1 /tmp/still.ppm > uneven.jpg
cjpeg -quality 60 -optimize -grayscale /tmp/still.ppm > grey.jpg
rm /tmp/still.ppm
qpdf --empty --pages "$1" 1 -- --linearize --deterministic-id linear.pdf
