// Which profiles may be learnt from, and which only judge: the split goes by model family, so no relative of a judge is seen in training.
import type { Profile } from './profiles.ts';

/** Every family, and how its models are recognised. A model belongs to exactly one; a test checks it for the shipped file. */
const FAMILIES: readonly { readonly name: string; readonly pattern: RegExp; readonly isHeldOut: boolean }[] = [
  { name: 'ResNet', pattern: /^ResNet-/i, isHeldOut: false },
  { name: 'SE-ResNeXt', pattern: /^SE-ResNeXt/i, isHeldOut: false },
  { name: 'GPUNet', pattern: /^GPUNet-/i, isHeldOut: false },
  { name: 'TFT', pattern: /^TFT-/i, isHeldOut: false },
  { name: 'BERT', pattern: /^BERT-/i, isHeldOut: true },
  { name: 'EfficientNet', pattern: /^EfficientNet-/i, isHeldOut: true },
  { name: 'VGG', pattern: /^VGG-/i, isHeldOut: true },
];

/** Name of the family; null for a model of none: it is used for neither. */
export function toFamily(profile: Profile): string | null {
  return FAMILIES.find(({ pattern }) => pattern.test(profile.model))?.name ?? null;
}

/** Both sides of the split, in the order of the file. */
export function splitProfiles(profiles: readonly Profile[]): {
  readonly training: readonly Profile[];
  readonly heldOut: readonly Profile[];
} {
  const heldOutNames = new Set(FAMILIES.filter((family) => family.isHeldOut).map((family) => family.name));
  const known = profiles.filter((profile) => toFamily(profile) !== null);
  return {
    training: known.filter((profile) => !heldOutNames.has(toFamily(profile)!)),
    heldOut: known.filter((profile) => heldOutNames.has(toFamily(profile)!)),
  };
}
