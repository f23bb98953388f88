/** What each study is called and takes: all that --help needs, without what a study needs to run. */

export interface StudyFacts {
  /** As on the command line. */
  readonly name: string;
  readonly title: string;
  /** What it does, and about how long it takes. */
  readonly help: string;
  /** What it must be given. */
  readonly needs: readonly ('videos' | 'retrieval')[];
}

/** In the paper's order. */
export const STUDY_FACTS = {
  table1: {
    name: 'table1',
    title: 'Table 1: frames between frames',
    help:
      "For alpha 2, 4 and 8, encodes every alpha-th frame of each video, trains NVP, NIRVANA, NeRV and a time-coordinate MLP on the same frames, and compares the frames left out with what each puts in their place. About 22 times --seconds for each video. The paper's own scale: bunny.mp4 with --size 1280x720.",
    needs: ['videos'],
  },
  table2: {
    name: 'table2',
    title: 'Table 2: the weight of the alignment (lambda)',
    help:
      'Encodes each clip of the retrieval set ten times for --clip-seconds: at five weights of the alignment, from latents that start at the features and at random. About --limit times 10 times (--clip-seconds + 3 s): take a small --limit.',
    needs: ['retrieval'],
  },
  table3: {
    name: 'table3',
    title: 'Table 3: classes and segments found, by latents and by raw features',
    help:
      'Encodes each clip that has a class, and each clip with segments (of photos: clips of two or three of them), for --clip-seconds. Class names look for clips, texts of segments for segments. About 1.4 times --limit times (--clip-seconds + 8 s); clips that table4 has done are not done again.',
    needs: ['retrieval'],
  },
  table4: {
    name: 'table4',
    title: 'Table 4: whole videos found by their texts, and texts by their videos',
    help:
      'Encodes each clip of the retrieval set for --clip-seconds; then texts look for clips and clips for texts, by latents and by raw features. About --limit times (--clip-seconds + 5 s).',
    needs: ['retrieval'],
  },
  figure3: {
    name: 'figure3',
    title: 'Figure 3: rate and distortion',
    help:
      'Encodes each video at each of --rates, trains NeRV and HNeRV of the same sizes for the same seconds, and encodes with x264 and x265. About 3 times the number of --rates times --seconds for each video.',
    needs: ['videos'],
  },
  figure4: {
    name: 'figure4',
    title: 'Figure 4: decoding speed by resolution',
    help:
      'At half, one, two and four times --size: frames a second of a network of that size, of one file enlarged, and of libavcodec decoding HEVC to RGB, on --threads threads. The first video only; about two minutes, whatever --seconds says.',
    needs: ['videos'],
  },
  figure9: {
    name: 'figure9',
    title: 'Figure 9: latents in the plane (UMAP)',
    help:
      "Encodes each video twice for --seconds, aligned to the vision tower and for the pictures alone, and lays the latents of all of them out by UMAP. About twice --seconds for each video. The table says whose frames a frame's nearest latents are.",
    needs: ['videos'],
  },
  figure10: {
    name: 'figure10',
    title: 'Figure 10: modulated layers and patch size',
    help:
      'Encodes each video with a network of six layers and no basis grids, of which the latents modulate all, three or one; and with patches of 2, 4, 8 and 16 pixels. About 10 times --seconds for each video.',
    needs: ['videos'],
  },
} as const satisfies Readonly<Record<string, StudyFacts>>;

export type StudyName = keyof typeof STUDY_FACTS;
