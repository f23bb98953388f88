/** What a decoder met in a damaged file. */
export interface Damage {
  /** Packets that gave no frame. */
  packets: number;
  /** Frames of which parts were guessed from their neighbours. */
  frames: number;
  /** Places where the container's bytes made no sense, or packets that are not there whole. */
  reads: number;
}

/** The damage in a sentence for the file's owner, or null where there is none. */
export function damageWarning({ packets, frames, reads }: Damage): string | null {
  const parts = [
    packets > 0 ? `${count(packets, 'packet')} could not be decoded and ${packets === 1 ? 'its' : 'their'} frames are missing` : '',
    frames > 0 ? `${count(frames, 'frame')} ${frames === 1 ? 'is' : 'are'} shown with faults` : '',
    reads > 0 ? `${count(reads, 'part')} of the file ${reads === 1 ? 'was' : 'were'} unreadable or cut off` : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? null : `The file is damaged: ${parts.join(', ')}.`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
