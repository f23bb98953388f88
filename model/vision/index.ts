/** The vision tower and the map from its features to latents. */
export { LatentMap } from './latent-map.js';
export { VisionTower, type VisionPack } from './tower.js';
