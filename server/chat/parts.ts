/** Messages as clients write them, to the turns of a conversation: texts, and videos and photos by id. */
import type { Caller } from '../access/caller.js';
import type { RequestMessage, RequestPart } from '../api/chat-schemas.js';
import { ApiError } from '../errors.js';
import type { Services } from '../services.js';
import { checkAskable, checkLength, type Turn } from './prompt.js';

type Content = RequestMessage['content'];

/** Where a part's video or photo is. */
interface Media {
  readonly url: string;
  /** The field that says so. */
  readonly param: string;
}

/**
 * Videos that the message brings along are waited for.
 * @param param the content's place in the request
 * @throws ApiError naming the part that is wrong
 */
export async function turnOf(
  services: Pick<Services, 'limits' | 'arrivals' | 'library'>,
  message: RequestMessage,
  param: string,
  caller: Caller,
  signal: AbortSignal,
): Promise<Turn> {
  const { role } = message;
  const parts = partsOf(message);
  const texts: string[] = [];
  const videos: string[] = [];
  for (const [index, part] of parts.entries()) {
    const text = textOf(part);
    if (text !== null) texts.push(text);
    else if (role !== 'user')
      throw new ApiError('invalid_request', {
        param: `${param}[${index}]`,
        message: 'Only a message of the user can have a video or a photo.',
      });
  }
  const text = texts.join('\n');
  checkLength(text, services.limits, param);
  for (const [index, part] of parts.entries()) {
    const media = mediaOf(part, `${param}[${index}]`);
    if (!media) continue;
    const id = await services.arrivals.videoIdOf(media.url, media.param, caller, signal);
    checkAskable({ library: services.library.seenBy(caller) }, id, media.param);
    videos.push(id);
  }
  return { role: role === 'developer' ? 'system' : role, text, videos };
}

function partsOf(message: RequestMessage): readonly RequestPart[] {
  const content: Content = message.content;
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (content) return content;
  // Only an answer has none: one that was refused says why instead.
  const refusal = 'refusal' in message ? message.refusal : null;
  return typeof refusal === 'string' ? [{ type: 'refusal', refusal }] : [];
}

function textOf(part: RequestPart): string | null {
  switch (part.type) {
    case 'text':
    case 'input_text':
    case 'output_text':
      return part.text;
    case 'refusal':
      return part.refusal;
    default:
      return null;
  }
}

/** @throws ApiError for a part without an address, or with several */
function mediaOf(part: RequestPart, param: string): Media | null {
  switch (part.type) {
    case 'video_url':
      return addressOf(part.video_url, `${param}.video_url`);
    case 'image_url':
    case 'input_image':
      return addressOf(part.image_url, `${param}.image_url`);
    case 'input_video':
      return inputVideo(part, param);
    default:
      return null;
  }
}

function addressOf(address: string | { readonly url: string }, param: string): Media {
  return typeof address === 'string' ? { url: address, param } : { url: address.url, param: `${param}.url` };
}

function inputVideo(part: Extract<RequestPart, { readonly type: 'input_video' }>, param: string): Media {
  const { input_video: inner, data, url, video_url, video, video_id } = part;
  const found: Media[] = [];
  const add = (name: string, value: string | null | undefined, address = (text: string) => text): void => {
    if (typeof value === 'string') found.push({ url: address(value), param: `${param}.${name}` });
  };
  add('input_video.data', inner?.data, dataAddress);
  add('input_video.url', inner?.url);
  add('data', data, dataAddress);
  add('url', url);
  add('video', video);
  add('video_id', video_id, (id) => `video://${id}`);
  if (video_url) found.push(addressOf(video_url, `${param}.video_url`));
  const [media, second] = found;
  if (!media)
    throw new ApiError('invalid_request', {
      param: `${param}.input_video`,
      message: `The part "${param}" names no video: it needs "data" or "url".`,
    });
  if (second)
    throw new ApiError('invalid_request', {
      param: second.param,
      message: `The part "${param}" names two videos. Send a part for each.`,
    });
  return media;
}

/** Bytes may come bare or as a whole address. */
function dataAddress(data: string): string {
  return /^data:/i.test(data) ? data : `data:;base64,${data}`;
}
