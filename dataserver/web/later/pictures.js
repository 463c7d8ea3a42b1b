/* Pictures made small enough to be sent or kept. */

const QUALITIES = [0.9, 0.7, 0.5, 0.3, 0.1];

/* The middle square of a picture, so many pixels wide; null if it is no picture. */
export async function shrunk(file, px, quality = QUALITIES[0]) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch (error) {
    console.info('no picture', error.name);
    return null;
  }
  const side = Math.min(picture.width, picture.height);
  const canvas = Object.assign(document.createElement('canvas'), { width: px, height: px });
  canvas.getContext('2d').drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, px, px);
  picture.close();
  return new Promise((resolve) => { canvas.toBlob(resolve, 'image/webp', quality); });
}

/* The same as a `data:` address of at most so many characters, as large and as good as fits; null if it is no picture. */
export async function asAddress(file, sizesPx, mostCharacters) {
  for (const px of sizesPx) {
    for (const quality of QUALITIES) {
      const small = await shrunk(file, px, quality);
      if (!small) return null;
      const address = await addressOf(small);
      if (address.length <= mostCharacters) return address;
    }
  }
  return null;
}

function addressOf(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
