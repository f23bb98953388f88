import type { Video } from '../sdk/index.js';
import { Backend } from './backend.js';
import { ChatView } from './chat-view.js';
import { confirmRemoval } from './confirm.js';
import { ConnectionNotice } from './connection-notice.js';
import { Conversations } from './conversations.js';
import { Decoder, priority, type ContainerSource } from './decoder.js';
import { el, icon } from './dom.js';
import { FilePicker } from './file-picker.js';
import { Library, reason, type Upload } from './library.js';
import { LibraryView } from './library-view.js';
import { Player } from './player.js';
import { Similarity } from './similarity.js';
import { text } from './strings.js';
import { themeButton } from './theme.js';

/** Pixels across of the thumbnails in the library. */
const thumbnailWidth = 160;

const backend = new Backend(new URL('./', location.href).href);
const library = new Library(backend);
const conversations = new Conversations(backend);
const decoder = new Decoder();
const picker = new FilePicker((files) => files.forEach((file) => follow(library.add(file))));
const libraryView = new LibraryView(library, {
  select: (video) => select(video.id),
  choose: () => picker.open(),
  remove: (video) => void remove(video),
  thumbnail: (video, canvas) => void paintThumbnail(video, canvas),
});
const player = new Player(decoder, { source: containerOf });
const chat = new ChatView((start_s) => player.playback.seekTime(start_s));
const similarity = new Similarity(backend);
const notice = new ConnectionNotice(() => backend.reconnectNow());
/** Id of the shown video. It is in the address too, so that a reload or a link comes back to it. */
let selected: string | null = idInAddress();
/** The upload that is watched, until another video is chosen. */
let followed: Upload | null = null;
let question: string | null = null;

function main(): void {
  document.title = text.title;
  const mark = el('img', { class: 'brand-mark', attrs: { src: 'icon.svg', alt: '', width: 28, height: 28 } });
  const header = el(
    'header',
    { class: 'header' },
    el('h1', { class: 'brand' }, mark, el('span', { text: text.title })),
    el('p', { class: 'brand-tagline', text: text.tagline }),
    notice.element,
    themeButton(() => player.redraw()),
  );
  const welcome = el(
    'div',
    { class: 'welcome' },
    el('p', { class: 'welcome-title', text: text.library.emptyTitle }),
    el('p', { class: 'welcome-text', text: text.library.emptyText }),
    el('button', { class: 'button button-main button-large', attrs: { type: 'button' }, on: { click: () => picker.open() } }, icon('plus'), el('span', { text: text.library.choose })),
    el('p', { class: 'welcome-note', text: text.library.emptyNote }),
  );
  document.body.append(header, el('main', { class: 'columns' }, libraryView.element, player.element, chat.element, welcome), picker.element);

  library.changed.listen(onceAFrame(render));
  library.uploaded.listen(({ upload, video }) => {
    if (followed === upload) select(video.id);
  });
  chat.questioned.listen((words) => {
    question = words;
    void showLikeness();
  });
  player.opened.listen(() => void showLikeness());
  backend.statusChanged.listen((status) => {
    chat.setOnline(status === 'open');
    notice.update(status);
  });
  globalThis.addEventListener('hashchange', () => select(idInAddress()));
  document.addEventListener('keydown', shortcut);
  render();
  backend.start();
  void library.load();
}

function render(): void {
  const { loaded, videos, uploads } = library;
  // The newest that can be talked about, also when the shown one was removed.
  if (loaded && !library.find(selected)) selected = (videos.find((video) => video.askable) ?? videos[0])?.id ?? null;
  if (followed && !uploads.includes(followed)) followed = null;
  const video = followed ? null : library.find(selected);
  document.body.classList.toggle('is-loading', !loaded);
  document.body.classList.toggle('is-bare', loaded && videos.length + uploads.length === 0);
  libraryView.render();
  libraryView.select(video?.id ?? null);
  if (followed) player.showUpload(followed);
  else player.show(video);
  chat.show(video, video ? conversations.show(video.id) : null, followed !== null && followed.error === null);
}

function follow(upload: Upload): void {
  followed = upload;
  render();
}

/** Lights up on the timeline which frames are like the last question. */
async function showLikeness(): Promise<void> {
  const { reel } = player.playback;
  const video = library.find(selected);
  const words = question;
  if (!reel || !video?.askable || reel.info.frames === 1 || words === null) return player.showLikeness(null);
  const likeness = await similarity.of(video.id, reel.info.frames, words);
  if (words === question && player.playback.reel?.source.group === reel.source.group) player.showLikeness(likeness);
}

function select(id: string | null): void {
  followed = null;
  selected = id;
  if (id !== null && idInAddress() !== id) history.replaceState(null, '', `#${encodeURIComponent(id)}`);
  render();
}

function idInAddress(): string | null {
  const id = location.hash.slice(1);
  return id === '' ? null : decodeURIComponent(id);
}

function containerOf(video: Video): ContainerSource {
  return {
    key: `${video.id}@${video.container_version ?? ''}`,
    group: video.id,
    url: backend.client.containerUrl(video.id),
  };
}

async function paintThumbnail(video: Video, canvas: HTMLCanvasElement): Promise<void> {
  const source = containerOf(video);
  const wanted = (): boolean => library.find(video.id)?.container_version === video.container_version;
  try {
    const { frames, width } = await decoder.info(source);
    const { bitmap } = await decoder.frame(source, Math.floor(frames / 2), Math.min(thumbnailWidth, width), priority.thumbnail, wanted);
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  } catch {
    // An empty thumbnail says enough; the player names the reason when the video is chosen.
  }
}

async function remove(video: Video): Promise<void> {
  if (!(await confirmRemoval(video.name))) return;
  try {
    await library.remove(video.id);
    conversations.forget(video.id);
  } catch (error) {
    notice.tell(reason(error));
  }
}

/** Space plays, the slash key goes to the chat, Escape stops the answer; only where no control wants the key itself. */
function shortcut(event: KeyboardEvent): void {
  const { target } = event;
  if (event.key === 'Escape' && !document.querySelector('dialog[open]') && chat.stop()) event.preventDefault();
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target instanceof Element && target.closest('input, textarea, button, dialog, a, summary')) return;
  if (event.key === ' ') player.playback.toggle();
  else if (event.key === '/') chat.composer.input.focus();
  else return;
  event.preventDefault();
}

/** Progress comes many times a second: drawn at most once a frame. */
function onceAFrame(work: () => void): () => void {
  let planned = false;
  return () => {
    if (planned) return;
    planned = true;
    // A hidden page gets no animation frames, but a page that is looked at again must be up to date.
    const run = (): void => {
      planned = false;
      work();
    };
    if (document.hidden) setTimeout(run, 250);
    else requestAnimationFrame(run);
  };
}

main();
