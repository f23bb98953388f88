/** Which questions are in a language that the model does not know. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isForeign, languageNotice } from '../../projector/language.js';

const foreign = [
  'Was siehst du?', 'Was passiert im Video?', 'Welche Farbe hat das Auto?', 'Ist da ein Hund?', 'Beschreibe das Video.', 'ist das ein hund oder eine katze',
  'Que se passe-t-il dans la vidéo ?', "Qu'est-ce que tu vois ?", 'De quelle couleur est la voiture ?', 'il y a combien de chiens',
  '¿Qué pasa en el video?', '¿De qué color es el coche?', 'Hay un perro?', 'Describe el video.', 'que animales hay',
  'Cosa succede nel video?', 'Di che colore è la macchina?', 'Descrivi il video.',
  'O que você vê?', 'Qual é a cor do carro?', 'Wat gebeurt er in de video?', 'Is er een hond?', 'Vad händer i videon?', 'Hvilken farve har bilen?', 'Hva skjer i videoen?',
  'Mitä videossa tapahtuu?', 'Co się dzieje na filmie?', 'Co se děje ve videu?', 'Mi történik a videóban?', 'Ce culoare are mașina?', 'Araba ne renk?',
  'Što se događa u videu?', 'Apa warna mobil itu?', 'Chuyện gì xảy ra trong video?',
  'Что происходит на видео?', 'Що відбувається на відео?', 'Τι συμβαίνει στο βίντεο;', 'ماذا يحدث في الفيديو؟', 'מה קורה בסרטון?', 'वीडियो में क्या हो रहा है?',
  'เกิดอะไรขึ้นในวิดีโอ', '動画で何が起きていますか？', '视频里发生了什么？', '영상에서 무슨 일이 일어나고 있나요?',
];
const english = [
  'Was?', 'Auto color?', 'What?', 'And then?', 'dog?', 'Die?', 'Is he die?', 'Fin?', 'no', 'ok', '3', '?', '...', '', '0:05?', 'A', 'summary', 'Describe.', 'Count.', 'Colour of the sofa?',
  'how mny peple r there', 'wat is hapening', 'where r u', 'whats going on', 'a cat or no', 'Is a sedan in it?', 'Kimono color?', 'video content?', 'indoor/outdoor', 'piano or guitar',
  'macho man', 'tennis racket or bat?', 'sushi or pizza?', 'Big Buck Bunny', 'json please', 'man doing', 'hat color of boy', 'describe video', 'Is dog in car', 'list all objects',
  'Is that Rio de Janeiro?', 'Is this la tour Eiffel?', 'Is this El Capitan in Yosemite?', 'What does "Bitte nicht stören" mean?', 'Does he say hola?', 'What does 你好 mean?',
  'Who is Juan?', 'Is the café open?', 'Is the chef making a crêpe?', 'Do you see a cafe, a bar or a restaurant?', 'Describe the video.', 'What is happening at 9:30:00?', '🐕?', '🐕🐈🐎 🐕🐈🐎',
];

test('questions in other languages are told from English ones', async () => {
  const missed = [];
  for (const question of foreign) if (!(await isForeign(question, ['en']))) missed.push(question);
  assert.deepEqual(missed, []);
});

test('English questions are never taken for another language, however short or badly written', async () => {
  const wrong = [];
  for (const question of english) if (await isForeign(question, ['en'])) wrong.push(question);
  assert.deepEqual(wrong, []);
});

describe('a model of several languages', () => {
  test('is asked in each of them, and in no other', async () => {
    const languages = ['en', 'de', 'ru'];
    for (const question of ['Was passiert im Video?', 'Что происходит на видео?', 'What happens?']) assert.equal(await isForeign(question, languages), false, question);
    for (const question of ['Que se passe-t-il dans la vidéo ?', '视频里发生了什么？']) assert.equal(await isForeign(question, languages), true, question);
  });

  test('need not know English', async () => {
    assert.equal(await isForeign('What is the man in the video doing?', ['de', 'fr']), true);
    assert.equal(await isForeign('Was macht der Mann in dem Video?', ['de', 'fr']), false);
  });

  test('tells which languages it knows', () => {
    assert.equal(languageNotice(['en']), 'I only understand English. Please ask in English.');
    assert.equal(languageNotice(['en', 'de', 'fr']), 'I only understand English, German, or French. Please ask in English, German, or French.');
  });
});

test('a long text is judged by its beginning', async () => {
  assert.equal(await isForeign('Der Mann geht mit seinem Hund in den Park. '.repeat(5000), ['en']), true);
});
