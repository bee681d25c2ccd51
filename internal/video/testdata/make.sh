#!/usr/bin/env bash
# Draws the videos of this folder and lists their key frames with ffprobe. Run with
# ffmpeg 5.1 of Debian 12; other versions write other bytes.
set -euo pipefail
cd "$(dirname "$0")"
ff() { ffmpeg -nostdin -v error -y "${@:1:$#-1}" -bitexact -fflags +bitexact -flags +bitexact "${@: -1}"; }
drawn="mandelbrot=size=160x120:rate=10:end_scale=0.01,format=yuv420p"
moving="testsrc2=size=160x120:rate=10,format=yuv420p"
h264="-c:v libx264 -preset slow -crf 38 -g 12 -x264-params threads=1:no-info=1"

ff -f lavfi -i "$drawn" -t 4 $h264 -bf 2 end.mp4
ff -i end.mp4 -c copy -movflags +faststart start.mp4
ff -i end.mp4 -c copy -movflags +frag_keyframe+empty_moov fragments.mp4
ff -i end.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof+omit_tfhd_offset -frag_duration 500000 pieces.mp4
ff -f lavfi -i "sine=220:sample_rate=8000" -i end.mp4 -t 4 -map 0 -map 1 -c:a aac -b:a 8k -c:v copy sound.mov
ff -f lavfi -i "$drawn" -t 4 -c:v libx265 -preset fast -x265-params "log-level=error:keyint=10:open-gop=1:info=0:pools=1:frame-threads=1" -crf 38 -tag:v hvc1 hevc.mp4
ff -f lavfi -i "$moving" -t 3 -c:v mpeg4 -q:v 24 -g 10 -bf 0 part2.mp4
ff -f lavfi -i "$drawn" -t 3 -c:v libaom-av1 -cpu-used 8 -crf 55 -g 10 -threads 1 av1.mp4
ff -f lavfi -i "$moving" -t 2 -c:v mjpeg -q:v 20 -pix_fmt yuvj420p jpeg.mov
ff -f lavfi -i "$drawn" -t 3 -vf scale=176:144 -c:v h263 -q:v 20 -g 10 h263.3gp

ff -i end.mp4 -c copy cues.mkv
ff -f lavfi -i "$moving" -t 5 -c:v libx264 -preset slow -crf 40 -x264-params threads=1:no-info=1:keyint=11:min-keyint=11:open-gop=1:bframes=3:scenecut=0 open.mkv
ff -f lavfi -i "$drawn" -t 4 -c:v libvpx -crf 50 -b:v 60k -g 12 -threads 1 vp8.webm
ff -f lavfi -i "$drawn" -t 4 -c:v libvpx-vp9 -crf 55 -b:v 0 -g 12 -threads 1 vp9.webm
ff -i vp9.webm -c copy -live 1 -cluster_time_limit 900 live.webm
ff -i part2.mp4 -c copy -cues_to_front 0 part2.mkv
ff -i hevc.mp4 -c copy -f matroska - > pipe.mkv
ff -f lavfi -i "$moving" -t 2 -c:v mpeg2video -q:v 24 -g 6 mpeg2.mkv

ff -f lavfi -i "$moving" -t 2 -c:v mjpeg -q:v 20 -pix_fmt yuvj420p jpeg.avi
ff -f lavfi -i "$moving" -t 3 -c:v mpeg4 -q:v 24 -g 10 -bf 0 -vtag xvid part2.avi
ff -f lavfi -i "sine=220:sample_rate=8000" -i end.mp4 -t 4 -map 0 -map 1:v -c:a pcm_u8 -ar 8000 -c:v copy -bsf:v h264_mp4toannexb h264.avi
ff -f lavfi -i "$moving" -t 2 -c:v msmpeg4 -q:v 24 -g 6 ms.avi

for f in *.mp4 *.mov *.3gp *.mkv *.webm *.avi; do
	ffprobe -v error -select_streams v:0 -show_data_hash sha256 -of compact=p=0 \
		-show_entries packet=pts_time,dts_time,size,flags,data_hash "$f" | grep -F 'flags=K' > "$f.keys"
done
