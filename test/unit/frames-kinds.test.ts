/** Files of every kind that people have give the frames they tell of. `npm run bench -- frames` prints the same as a table. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openFrames } from '../../model/frames/open.node.js';
import { TestFolder } from '../helpers/folder.js';
import { mediaKinds } from '../helpers/media-kinds.js';

const folder = await TestFolder.make();
after(() => folder.remove());

for (const { name, frames, make } of mediaKinds) {
  test(name, async () => {
    const source = await openFrames(await folder.write('file', await make()), { name: 'file' });
    let given = 0;
    let last = -Infinity;
    for await (const { time_s } of source.frames({ size: { width: 16, height: 16 } })) {
      assert.ok(time_s > last, `${time_s} after ${last}`);
      last = time_s;
      given += 1;
    }
    assert.equal(given, source.info.frames);
    if (frames === null) assert.ok(given > 0);
    else assert.equal(given, frames);
    if (/cut off|changed bytes/.test(name)) assert.notDeepEqual(source.warnings, []);
    assert.equal(source.info.kind, name.startsWith('photo') ? 'photo' : 'video');
    await source.close();
  });
}
