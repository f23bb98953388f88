// What the server accepts can be shown: mutated containers that pass the check at upload, and all their frames that should be there. The
// cases are LATENTCHAT_FUZZ_CASES / 10 (default 2,000), the first seed LATENTCHAT_FUZZ_SEED.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ContainerError, inspectContainer, writeContainer, type Container } from '../../model/container/index.js';
import { inspectLinr } from '../../model/inr/checked-network.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { mutate } from '../helpers/container-mutations.js';
import { decodableContainer } from '../helpers/containers.js';
import { randomNumbers, type RandomNumbers } from '../helpers/random.js';
import { withSections } from '../helpers/sections.js';

const CASES = Math.ceil(Number(process.env['LATENTCHAT_FUZZ_CASES'] ?? 20_000) / 10);
const SEED = Number(process.env['LATENTCHAT_FUZZ_SEED'] ?? 1);

const originals = [
  writeContainer(decodableContainer()),
  writeContainer(decodableContainer({ frames: 1, width: 9, height: 30 })),
  writeContainer(decodableContainer({ segments: [3, 1, 4], network: [true, false, true], seed: 3 })),
  writeContainer(decodableContainer({ segments: [2, 2], latentDim: 5, seed: 4, coding: { coder: 'huffman' } })),
  writeContainer(decodableContainer({ frames: 5, seed: 5, images: 4 })),
  writeContainer(decodableContainer({ segments: [3, 1, 4], network: [true, false, true], seed: 6, images: 2 })),
];
/** What an encoder made of a real video; its networks take long to read, so it comes rarely. */
const demo = new Uint8Array(readFileSync(new URL('../../../weights/demo/bunny.linr', import.meta.url)));
const DEMO_SHARE = 0.01;

/** Numbers of META and of configurations that are wrong, right for another file, or huge. */
const NUMBERS = [0, 1, 2, 3, 4, 5, 6, 8, 9, 14, 22, 23, 30, 64, 100, 160, 1024, 4096, 8192, 16_384, 65_536, 1e6, 2 ** 31, -1, 0.5, 1e300];

/** One number somewhere in a JSON text becomes another one. */
function changeNumber(text: string, random: RandomNumbers): string {
  const places = [...text.matchAll(/(?<=[:[,])-?\d+(\.\d+)?(e[+-]?\d+)?/g)];
  const place = places[random.below(Math.max(1, places.length))];
  if (place === undefined) return text;
  return text.slice(0, place.index) + String(NUMBERS[random.below(NUMBERS.length)]) + text.slice(place.index + place[0].length);
}

function changeJson(file: Uint8Array, random: RandomNumbers): Uint8Array {
  return withSections(file, (sections) => {
    for (const section of sections) {
      const type = new TextDecoder().decode(section.type);
      if (type === 'META' && random.uniform() < 0.5) section.bytes = new TextEncoder().encode(changeNumber(new TextDecoder().decode(section.bytes), random));
      if (type === 'NETW' && random.uniform() < 0.4) section.bytes = withConfig(section.bytes, (text) => changeNumber(text, random));
    }
  });
}

/** A NETW section with another configuration: u32 length and JSON stand at its start. */
function withConfig(section: Uint8Array, change: (text: string) => string): Uint8Array {
  const length = new DataView(section.buffer, section.byteOffset).getUint32(0, true);
  const config = new TextEncoder().encode(change(new TextDecoder().decode(section.subarray(4, 4 + length))));
  const changed = new Uint8Array(4 + config.length + section.length - 4 - length);
  new DataView(changed.buffer).setUint32(0, config.length, true);
  changed.set(config, 4);
  changed.set(section.subarray(4 + length), 4 + config.length);
  return changed;
}

/** The container where the check lets the file pass. */
function accepted(file: Uint8Array, check: typeof inspectContainer, seed: number): Container | null {
  try {
    return check(file).container;
  } catch (error) {
    assert.ok(error instanceof ContainerError, `seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
    return null;
  }
}

/** Draws the first and the last frame of every segment that has a network, and something between two frames. */
async function drawAll(file: Uint8Array, { meta, networks }: Container): Promise<number> {
  const decoder = new LinrDecoder(file, nodeRuntime({ threads: 1 }));
  let drawn = 0;
  try {
    let first = 0;
    for (const [k, frames] of meta.segments.entries()) {
      const last = first + frames - 1;
      if (networks[k] !== null) {
        for (const index of new Set([first, (first + last) / 2, last])) {
          const { width, height, data } = await decoder.frame(index);
          assert.deepEqual([width, height, data.length], [meta.width, meta.height, meta.width * meta.height * 3]);
          drawn++;
        }
      }
      first += frames;
    }
  } finally {
    await decoder.release();
  }
  return drawn;
}

test(`of ${CASES} mutated containers, all frames of those that pass the check are drawn`, { timeout: 900_000 }, async () => {
  const count = { passed: 0, refused: 0, misfits: 0, drawn: 0 };
  for (let i = 0; i < CASES; i++) {
    const seed = SEED + i;
    const random = randomNumbers(seed);
    const whole = random.uniform() < DEMO_SHARE ? demo : (originals[random.below(originals.length)] as Uint8Array);
    const file = random.uniform() < 0.6 ? changeJson(whole, random) : mutate(whole, random);
    const container = accepted(file, inspectLinr, seed);
    if (container === null) {
      count.refused++;
      if (accepted(file, inspectContainer, seed) !== null) count.misfits++;
      continue;
    }
    count.passed++;
    count.drawn += await drawAll(file, container).catch((error: unknown) => assert.fail(`seed ${seed} passed and cannot be drawn: ${error instanceof Error ? error.stack : String(error)}`));
  }
  // Mutations that change nothing, and those that only this check sees, must both be there, or the test proves little.
  assert.ok(count.passed > CASES / 20 && count.misfits > CASES / 20 && count.drawn > count.passed / 2, JSON.stringify(count));
  console.log(JSON.stringify(count));
});
